"""What the parts of a campaign show so far: counted as they come in, drawn now and then.

For a first look while a campaign runs. The report, with its intervals, is what counts.
"""

import pyarrow as pa

from analysis import quantities
from analysis.cells import BASELINE_DRIVER
from contract.errors import PartError
from contract.parts import Part, part_name, read_part
from orchestrator.cli.serving.glimpses import glimpse_of
from orchestrator.cli.serving.observed import Observed
from orchestrator.cli.serving.pictures import Gallery, Rest, gallery
from orchestrator.cli.views.reading import CampaignReader
from orchestrator.cli.views.sampling import share_of, unread

MOST_PARTS = 3000
"""Of a campaign with more trials, a random sample of about so many is drawn."""

_ODD = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, pa.ArrowException)
"""What a glimpse stumbles over in a part that is whole, but holds what its experiment never writes."""


class Measured:
    """What one campaign's parts say so far. Not for several threads at once."""

    def __init__(self) -> None:
        self.experiments: dict[str, Observed] = {}
        self.changed: set[str] = set()
        """Experiments of which there is something new to draw."""
        self.unread = 0
        """Parts that could not be read, or hold what their experiment never writes."""
        self.sampled = False
        self._seen: dict[str, int] = {}

    def take(self, reader: CampaignReader, most: int) -> bool:
        """Read parts that were not read before, at most so many; whether there were any."""
        new = self._new(reader)[:most]
        for trial_id, attempt in new:
            self._seen[trial_id] = attempt
            try:
                data = (reader.results.parts / part_name(trial_id, attempt)).read_bytes()
                self._count(read_part(data))
            except (OSError, PartError, *_ODD):
                self.unread += 1
        return bool(new)

    def _new(self, reader: CampaignReader) -> list[tuple[str, int]]:
        with reader.lock:
            share = share_of(reader, MOST_PARTS)
            self.sampled = share < 1
            return unread(reader, share, self._seen)

    def is_stale(self, reader: CampaignReader) -> bool:
        """Whether a trial that was counted has been measured again since, or is of another plan."""
        with reader.lock:
            return any(
                trial_id not in reader.ended or reader.ended[trial_id].attempt != attempt
                for trial_id, attempt in self._seen.items()
            )

    def _count(self, part: Part) -> None:
        experiment = part.record.trial.experiment
        sights = list(glimpse_of(experiment)(part))  # all, or nothing of it is counted
        self.experiments.setdefault(experiment, Observed()).take(part.record, sights)
        self.changed.add(experiment)

    def draw(self, experiment: str, rest: Rest) -> Gallery:
        """The pictures of one experiment."""
        self.changed.discard(experiment)
        observed = self.experiments[experiment]
        notes = [
            "a random sample of the campaign" if self.sampled else "",
            observed.unreal,
            f"{quantities.plural(self.unread, 'part')} not understood" if self.unread else "",
        ]
        return gallery(experiment, observed, self._labels(), notes, rest)

    def _labels(self) -> list[str]:
        cells = {cell for observed in self.experiments.values() for cell in observed.cells}
        names = {(cell.driver != BASELINE_DRIVER, cell.variant) for cell in cells}
        return [name for _, name in sorted(names)]
