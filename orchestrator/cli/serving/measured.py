"""Times until ready out of the parts that are there: counted as they come in, drawn now and then.

For a first look while a campaign runs. The report, with its intervals and cells, is what counts.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from analysis import palette, plots, quantities
from analysis.cells import variant_name
from analysis.distributions import HARNESS_CAUSES
from analysis.section import Figure
from contract.errors import PartError
from contract.parts import Part, part_name, read_part
from orchestrator.cli.views.reading import CampaignReader

STEP = 0.01
"""Width of a bucket on the natural logarithm: values are rounded to about half a percent."""
MOST_PARTS = 3000
"""Of a campaign with more trials, a random sample of about so many is drawn."""
MOST_PANELS = 6
MOST_POINTS = 300
_COLUMNS = ("outcome", "error_class", "warm_up", "resident", "t_intent", "t_ready")


@dataclass(slots=True)
class Times:
    """One variant in one experiment."""

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
        for row in instances.select(_COLUMNS).to_pylist():
            counts = row["outcome"] in ("ok", "failed", "timeout", "censored")
            if not counts or row["warm_up"] or row["resident"] or row["error_class"] in HARNESS_CAUSES:
                continue
            began, ready = row["t_intent"], row["t_ready"]
            if began is not None and ready is not None and ready > began:
                self.buckets[round(math.log(ready - began) / STEP)] += 1
            elif row["outcome"] != "ok":
                self.never += 1

    def curve(self, variant: str) -> list[dict[str, Any]]:
        """Points of the distribution: share of attempts that were ready within a time."""
        points, reached = [], 0
        stride = 1 + len(self.buckets) // MOST_POINTS
        for place, bucket in enumerate(sorted(self.buckets)):
            reached += self.buckets[bucket]
            if place % stride == 0 or place == len(self.buckets) - 1:
                value = math.exp(bucket * STEP)
                points.append({"variant": variant, "value_ns": value, "share": reached / self.attempts})
        return points


@dataclass(slots=True)
class Variant:
    """One variant in one experiment, by what its trials are worth, as ``analysis.cells`` has it."""

    valid: Times = field(default_factory=Times)
    suspect: Times = field(default_factory=Times)
    failed: Times = field(default_factory=Times)
    """Failed trials have nothing to time; their failures count, whatever their verdict is."""

    @property
    def evidence(self) -> tuple[str, Times]:
        """What is drawn, and a warning: suspect trials only where there is no valid one."""
        warning, used = ("", self.valid) if self.valid.trials else (" (suspect only)", self.suspect)
        lost = self.failed.never + self.failed.buckets.total()
        return warning, Times(used.buckets, used.never + lost, used.trials + self.failed.trials)


class Measured:
    """What one campaign's parts say so far. Not for several threads at once."""

    def __init__(self) -> None:
        self.variants: dict[str, dict[str, Variant]] = defaultdict(lambda: defaultdict(Variant))
        self.set_aside = 0
        """Invalid trials."""
        self.virtual = False
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
            except (OSError, PartError):
                continue
        return bool(new)

    def _new(self, reader: CampaignReader) -> list[tuple[str, int]]:
        with reader.lock:
            share = min(1.0, MOST_PARTS / max(1, len(reader.trials)))
            self.sampled = share < 1
            # ids are hashes: those below a bound are a random sample, always the same one
            bound = f"{round(share * 16**8):09x}"
            return [
                (trial_id, ended.attempt)
                for trial_id, ended in reader.ended.items()
                if trial_id not in self._seen and f"0{trial_id[:8]}" < bound and ended.attempt > 0
            ]

    def is_stale(self, reader: CampaignReader) -> bool:
        """Whether a trial that was counted has been measured again since, or is of another plan."""
        with reader.lock:
            return any(
                trial_id not in reader.ended or reader.ended[trial_id].attempt != attempt
                for trial_id, attempt in self._seen.items()
            )

    def _count(self, part: Part) -> None:
        record = part.record
        variant = variant_name(record.trial.driver, record.trial.profile)
        found = self.variants[record.trial.experiment][variant]
        if record.outcome == "failed":
            found.failed.take(part.tables["instances"])
        elif record.outcome in ("completed", "partial") and record.verdict != "invalid":
            self.virtual |= record.virtual
            worth = found.valid if record.verdict == "valid" else found.suspect
            worth.take(part.tables["instances"])
        else:
            self.set_aside += 1

    def figure(self) -> Figure | None:
        """The curves, a panel per experiment; None when there is nothing to draw."""
        shown: dict[str, dict[str, Times]] = {}
        for experiment, found in sorted(self.variants.items()):
            for name, variant in sorted(found.items()):
                warning, times = variant.evidence
                if times.buckets:
                    shown.setdefault(experiment, {})[f"{name}{warning}"] = times
        if not shown:
            return None
        looks = palette.legend(sorted({name for found in shown.values() for name in found}))
        panels = []
        for experiment, times_of in list(shown.items())[:MOST_PANELS]:
            rows = [point for name, one in times_of.items() for point in one.curve(name)]
            axis = plots.time_axis([row["value_ns"] for row in rows], "time until ready")
            panels.append(plots.curve_panel(experiment, rows, looks, axis))
        title, drawn = "Time until ready, so far", plots.draw(panels)
        return Figure(title, drawn, looks, self._caption(shown), _in_words(shown))

    def _caption(self, shown: dict[str, dict[str, Times]]) -> str:
        trials = sum(one.trials for found in shown.values() for one in found.values())
        said = [
            f"All parameters together, from {quantities.plural(trials, 'trial')}",
            f"{self.set_aside} invalid or skipped ones are left out" if self.set_aside else "",
            "a random sample of the campaign" if self.sampled else "",
            "time was simulated: nothing here is real" if self.virtual else "",
            f"only {MOST_PANELS} experiments are drawn" if len(shown) > MOST_PANELS else "",
        ]
        return "; ".join(filter(None, said)) + ". A curve that ends below 100 % shows failures."


def _in_words(shown: dict[str, dict[str, Times]]) -> str:
    said = []
    for experiment, found in shown.items():
        for name, one in found.items():
            half = next((p["value_ns"] for p in one.curve(name) if p["share"] >= 0.5), None)
            if half is not None:
                said.append(f"{experiment} {name}: half within {quantities.duration(half)}")
    return "Rising curves. " + "; ".join(said) + "."
