"""What the parts of one experiment showed so far: values by picture, conditions, variant and worth.

Cells are those of the report, and so is what counts: valid trials, suspect ones where there is no valid
one, and the failures of failed ones.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from analysis import quantities
from analysis.cells import EFFORT, Cell
from contract.parts import TrialRecord
from contract.trial import canonical_json
from orchestrator.cli.serving.glimpses.base import Sight, View
from orchestrator.cli.serving.spread import Spread

MOST_CELLS = 200
"""Of one experiment; trials of further ones are left out, and the caption says so."""
MOST_SPREADS = 1000
"""Of one cell: pictures, times steps of a staircase."""

Place = tuple[View, str, float]
"""Picture, name and level."""


@dataclass(slots=True)
class CellSeen:
    """One cell: its trials and values, by what trials are worth."""

    trials: Counter[str] = field(default_factory=Counter)
    spreads: dict[Place, dict[str, Spread]] = field(default_factory=dict)
    wholes: dict[Place, int] = field(default_factory=dict)
    """How many values belong together, of those that only count together."""

    @property
    def worth(self) -> str:
        """Of the trials that are drawn; empty where only failed ones are there."""
        return next((word for word in ("valid", "suspect") if self.trials[word]), "")

    def take(self, worth: str, sights: Iterable[Sight]) -> bool:
        """Count a trial; whether all of it found room."""
        self.trials[worth] += 1
        whole = True
        for sight in sights:
            place = sight.view, sight.name, sight.level
            if place not in self.spreads and len(self.spreads) >= MOST_SPREADS:
                whole = False
                continue
            if sight.values.size:
                self.spreads.setdefault(place, defaultdict(Spread))[worth].take(sight.values)
                self.wholes[place] = sight.of
        return whole

    def shown(self, failures: "CellSeen | None" = None) -> dict[Place, Spread]:
        """What counts: believed values, and what never came in failed trials."""
        found: dict[Place, Spread] = defaultdict(Spread)
        for place, spreads in self.spreads.items():
            if self.worth in spreads:
                found[place].add(spreads[self.worth])
        for place, spreads in failures.spreads.items() if failures is not None else ():
            found[place].never += spreads["failed"].never
        return {place: spread for place, spread in found.items() if spread.n}


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one cell at one place, as they are drawn."""

    cell: Cell
    label: str
    place: Place
    spread: Spread
    whole: int


class Observed:
    """One experiment."""

    def __init__(self) -> None:
        self.cells: dict[Cell, CellSeen] = {}
        self.failed: dict[Cell, CellSeen] = {}
        """Failed trials: where they ended, their driver had often not said what it is."""
        self.set_aside = 0
        """Invalid and skipped trials."""
        self.left_out = 0
        """Trials for which there was no room."""

    @property
    def trials(self) -> int:
        """Trials that are drawn."""
        return sum(seen.trials[seen.worth] for seen in self.cells.values() if seen.worth)

    @property
    def failures(self) -> int:
        """Failed trials."""
        return sum(seen.trials.total() for seen in self.failed.values())

    @property
    def unused(self) -> int:
        """Suspect trials that valid ones stand in for."""
        return sum(s.trials["suspect"] for s in self.cells.values() if s.worth == "valid")

    @property
    def unreal(self) -> str:
        """Of which trials time was simulated, in words; empty when it is real in all."""
        virtual = {cell.variant for cell in self.cells if cell.virtual}
        if not virtual:
            return ""
        if all(cell.virtual for cell in self.cells):
            return "time was simulated: nothing here is real"
        return f"time was simulated, so nothing is real, of {quantities.listed(sorted(virtual))}"

    def take(self, record: TrialRecord, sights: Iterable[Sight]) -> None:
        """Count a trial that may count."""
        cell, seen, worth = cell_of(record), self.cells, str(record.verdict)
        if record.outcome == "failed":
            cell, seen, worth = replace(cell, emulated=False, virtual=False), self.failed, "failed"
        elif record.outcome not in ("completed", "partial") or record.verdict == "invalid":
            self.set_aside += 1
            return
        if cell not in seen and len(seen) >= MOST_CELLS:
            self.left_out += 1
            return
        self.left_out += not seen.setdefault(cell, CellSeen()).take(worth, sights)

    def series(self) -> list[Series]:
        """All of it as it is drawn, baseline first."""
        found = []
        for cell, seen in sorted(self.cells.items(), key=_by_variant):
            warning = " (suspect only)" if seen.worth == "suspect" else ""
            for place, spread in seen.shown(self._failures_of(cell)).items():
                whole = seen.wholes.get(place, 0)
                found.append(Series(cell, f"{cell.variant}{warning}", place, spread, whole))
        return found

    def _failures_of(self, cell: Cell) -> CellSeen | None:
        """Failed trials of a cell, if there is no doubt whether its CPU was emulated in them too."""
        plain = replace(cell, emulated=False, virtual=False)
        return None if self._is_mixed(plain) else self.failed.get(plain)

    def _is_mixed(self, plain: Cell) -> bool:
        return sum(replace(one, emulated=False, virtual=False) == plain for one in self.cells) > 1

    @property
    def unplaced(self) -> int:
        """Failed trials whose failures are in no picture, since nothing tells where they belong."""
        known = {replace(one, emulated=False, virtual=False) for one in self.cells}
        return sum(
            seen.trials.total()
            for cell, seen in self.failed.items()
            if cell not in known or self._is_mixed(cell)
        )


def _by_variant(item: tuple[Cell, CellSeen]) -> tuple[bool, str]:
    return item[0].driver != "process", item[0].variant


def cell_of(record: TrialRecord) -> Cell:
    """The cell of the report that a trial belongs to."""
    trial = record.trial
    return Cell(
        0,
        trial.driver,
        trial.profile,
        canonical_json({name: value for name, value in trial.params.items() if name not in EFFORT}),
        trial.image,
        canonical_json(trial.limits.model_dump()),
        record.emulated,
        record.virtual,
    )
