"""Times until ready, and why trials are doubted, out of the parts that are there, as they come in.

For a first look while a campaign runs, all parameters together. The report is what counts.
"""

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.distributions import HARNESS_CAUSES
from contract.errors import PartError
from contract.parts import Part, part_name, read_part
from orchestrator.cli.views.reading import CampaignReader, Ended
from orchestrator.cli.views.sampling import share_of, unread
from orchestrator.outline import PlannedTrial

STEP = 0.001
"""Width of a bucket on the natural logarithm: values are off by half a thousandth at most."""
MOST_PARTS = 3000
"""Of a campaign with more trials, a random sample of about so many is counted."""
MOST_KEPT = 200
"""Medians of single trials that are kept: of those that ended last."""
_ATTEMPTS = pa.array(["ok", "failed", "timeout", "censored"])
_OURS = pa.array(sorted(HARNESS_CAUSES))
_NO_COLUMN = (pa.ArrowException, LookupError, TypeError)
"""What a part raises whose tables are not those of this release."""


@dataclass(slots=True)
class ReadyTimes:
    """How soon attempts became ready."""

    buckets: Counter[int] = field(default_factory=Counter)
    """Number of attempts by bucket of ln(ns)."""
    never: int = 0
    """Attempts that did not become ready."""
    trials: int = 0

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.buckets.total() + self.never

    def take(self, instances: pa.Table) -> None:
        """Count one trial's attempts, as the report does: no warm-ups, no residents, none of our own."""
        self.trials += 1
        set_aside = pc.or_(instances["warm_up"], instances["resident"])
        ours = pc.is_in(instances["error_class"], _OURS)
        counts = pc.and_(pc.is_in(instances["outcome"], _ATTEMPTS), pc.invert(pc.or_(set_aside, ours)))
        took = pc.subtract(instances["t_ready"], instances["t_intent"])
        ready = pc.fill_null(pc.and_(counts, pc.greater(took, 0)), fill_value=False)
        values = took.filter(ready).to_numpy().astype(np.float64)
        places, numbers = np.unique(np.round(np.log(values) / STEP), return_counts=True)
        for place, number in zip(places, numbers, strict=True):
            self.buckets[int(place)] += int(number)
        lost = pc.and_(pc.and_(counts, pc.invert(ready)), pc.not_equal(instances["outcome"], "ok"))
        self.never += pc.sum(lost).as_py() or 0

    def quantile_ns(self, share: float) -> float | None:
        """The least time that this share of all attempts does not exceed; infinite where it is never."""
        if not self.attempts:
            return None
        wanted, reached = share * self.attempts, 0
        for place in sorted(self.buckets):
            reached += self.buckets[place]
            if reached >= wanted:
                return math.exp(place * STEP)
        return math.inf

    def shape(self, least: int, most: int, places: int) -> list[int]:
        """How many attempts fall into each of some even steps between two buckets."""
        counts = [0] * places
        for bucket, number in self.buckets.items():
            at = (bucket - least) * places // (most - least + 1)
            counts[min(max(at, 0), places - 1)] += number
        return counts


@dataclass(slots=True)
class Worth:
    """One variant in one experiment, by what its trials are worth, as ``analysis.cells`` has it."""

    valid: ReadyTimes = field(default_factory=ReadyTimes)
    suspect: ReadyTimes = field(default_factory=ReadyTimes)
    failed: ReadyTimes = field(default_factory=ReadyTimes)

    @property
    def evidence(self) -> tuple[bool, ReadyTimes]:
        """Whether it is suspect trials only, and what they say: with the failures of failed ones."""
        used = self.valid if self.valid.trials else self.suspect
        lost = self.failed.attempts
        return not self.valid.trials, ReadyTimes(used.buckets, used.never + lost, used.trials)


Key = tuple[str, str, str]
"""Experiment, driver and profile."""


class PartsSeen:
    """What one campaign's parts say so far."""

    def __init__(self) -> None:
        self._medians: dict[tuple[str, int], float | None] = {}
        self._forget()

    def _forget(self) -> None:
        self.variants: dict[Key, Worth] = defaultdict(Worth)
        self.doubts: dict[str, Counter[str]] = defaultdict(Counter)
        """Why completed trials are not valid: by verdict, then by driver and cause."""
        self.virtual = self.sampled = False
        self._seen: dict[str, int] = {}

    def take(self, reader: CampaignReader, for_s: float) -> bool:
        """Read parts that were not read before, for about so long; whether all of them are read."""
        with reader.lock:
            if any(t not in reader.ended or reader.ended[t].attempt != a for t, a in self._seen.items()):
                self._forget()  # one was measured again, or is of another plan
            new = self._new(reader)
        until_s = time.monotonic() + for_s
        for trial_id, attempt in new:
            if time.monotonic() > until_s:
                return False
            self._seen[trial_id] = attempt
            if (part := _read(reader, trial_id, attempt)) is not None:
                self._count(part)
        return True

    def median_ns(self, reader: CampaignReader, trial: PlannedTrial, ended: Ended) -> float | None:
        """Median time until ready of one trial; None where it has none."""
        key = trial.trial_id, ended.attempt
        if key not in self._medians:
            part = _read(reader, *key) if ended.attempt > 0 else None
            self._keep(key, _times_in(part).quantile_ns(0.5) if part is not None else None)
        return self._medians[key]

    def _keep(self, key: tuple[str, int], value_ns: float | None) -> None:
        while len(self._medians) >= MOST_KEPT:
            del self._medians[next(iter(self._medians))]
        self._medians[key] = value_ns

    def _new(self, reader: CampaignReader) -> list[tuple[str, int]]:
        share = share_of(reader, MOST_PARTS)
        self.sampled = share < 1
        return unread(reader, share, self._seen)

    def _count(self, part: Part) -> None:
        record = part.record
        trial = record.trial
        worth = self.variants[trial.experiment, trial.driver, trial.profile]
        self.virtual |= record.virtual
        if record.outcome == "completed" and record.verdict != "valid":
            self.doubts[record.verdict].update(f"{trial.driver}: {why}" for why in record.reasons)
        if record.outcome == "failed":
            kept = worth.failed
        elif record.outcome in ("completed", "partial") and record.verdict != "invalid":
            kept = worth.valid if record.verdict == "valid" else worth.suspect
        else:
            return
        kept.trials += 1
        found = _times_in(part)
        kept.buckets.update(found.buckets)
        kept.never += found.never


def _times_in(part: Part) -> ReadyTimes:
    found = ReadyTimes()
    try:
        found.take(part.tables["instances"])
    except _NO_COLUMN:
        return ReadyTimes()
    return found


def _read(reader: CampaignReader, trial_id: str, attempt: int) -> Part | None:
    try:
        return read_part((reader.results.parts / part_name(trial_id, attempt)).read_bytes())
    except (OSError, PartError):
        return None
