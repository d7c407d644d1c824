"""What a shared place holds of a campaign and the results folder does not have yet."""

from contract.errors import PartError
from contract.parts import part_name
from contract.shared_parts import SharedParts
from contract.trial import Trial
from orchestrator.results import Results


def fetch_missing(results: Results, shared: SharedParts, trials: tuple[Trial, ...]) -> int:
    """Copy parts of these trials into the folder: after its loss, say. Returns how many.

    Raises ResultsError when the place does not answer.
    """
    here, there, fetched = results.attempts(), shared.list(), 0
    for trial in trials:
        for attempt in there.get(trial.trial_id, ()):
            if attempt in here.get(trial.trial_id, ()):
                continue
            name = part_name(trial.trial_id, attempt)
            try:
                results.store(name, shared.get(name))
                fetched += 1
            except PartError:  # removed under our hands
                continue
    return fetched
