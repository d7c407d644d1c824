"""What resuming costs, counted: requests to a shared place, files opened, bytes of a plan."""

from pathlib import Path

import many_trials
import pytest
from shared_place import CAMPAIGN, counted_place
from speed.resume import opened

from contract.shared_parts import shared_parts
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import InlineDispatcher
from orchestrator.results import Results

TRIALS = many_trials.plan(40, 10)


def test_requests_to_s3_are_as_few_as_can_be() -> None:
    with counted_place() as place:
        shared = shared_parts(place.uri, CAMPAIGN)
        packed = list(many_trials.parts(TRIALS[:5], (1, 1)))
        before = place.requests()
        for part in packed:
            shared.put(part.name, part.data)
        written = place.requests()
        assert written - before == {"PUT": 5}
        assert len(shared.list()) == 5
        listed = place.requests()
        assert listed - written == {"GET": 1}
        assert [shared.get(part.name) for part in packed] == [part.data for part in packed]
        assert place.requests() - listed == {"HEAD": 5, "GET": 5}


def test_the_files_of_a_plan_grow_by_places_not_by_cells(tmp_path: Path) -> None:
    results = Results(tmp_path)
    sizes = []
    for count in (20, 40):
        results.freeze("", TRIALS[:count])
        sizes.append((tmp_path / "plan.json").stat().st_size)
    assert sizes[1] - sizes[0] < 20 * 200  # a whole trial of the simulated driver has 2,000
    planned = results.planned()
    assert len({id(trial.settings) for trial in planned}) == 10
    assert planned == TRIALS


def test_a_run_that_is_complete_opens_no_part(tmp_path: Path) -> None:
    results = Results(tmp_path)
    many_trials.fill(results, TRIALS, (1, 1))

    class Silent:
        def __getattr__(self, name: str) -> object:
            return lambda *_: None

    def left() -> None:
        dispatcher = InlineDispatcher("h00000", lambda order: pytest.fail(f"{order} is measured again"))
        loop = Coordination(TRIALS, results, dispatcher, Silent(), plan_rows=lambda _: [])
        loop.run(lambda: False)

    assert opened(left, results.parts) == 0
    assert opened(lambda: results.read(TRIALS[0].trial_id, 1), results.parts) == 1
