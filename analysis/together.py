"""What several hosts measured together: it counts when all their trials do, one value per block."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analysis.cells import Cell, Cells, Evidence
from analysis.section import Field
from contract.trial import ELSEWHERE

FLEET_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("params", "string", "parameters that are conditions, canonical JSON"),
    Field("emulated", "boolean", "instances ran on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
    Field("evidence", "string", "verdicts of the trials behind the row: valid or suspect"),
)

COUNT_FIELDS = (
    Field("blocks", "Int64", "common measurements behind the row, one per block"),
    Field("set_aside", "Int64", "measurements of which a trial is missing, failed or not believed"),
)


@dataclass(frozen=True, eq=False)
class Measurement:
    """The trials of one cell and block on all hosts of a group."""

    cell: Cell
    block: int
    group: tuple[str, ...]
    trials: tuple[dict[str, Any], ...]
    evidence: Evidence | None
    """None when it cannot count: a host's trial is missing, has failed or is invalid."""


class Together:
    """All common measurements of an experiment, and which of them count."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        of_cell = {m.trial_id: cells.cells[m.cell] for m in cells.memberships}
        found: dict[tuple[int, int, tuple[str, ...]], list[dict[str, Any]]] = defaultdict(list)
        for trial in cells.trials:
            cell = of_cell[trial["trial_id"]]
            found[cell.index, trial["block"], tuple(trial["group"])].append(trial)
        self.all = [
            Measurement(cells.cells[cell], block, group, tuple(trials), _evidence(group, trials))
            for (cell, block, group), trials in sorted(found.items(), key=lambda item: item[0])
        ]
        self._of_cell: dict[int, list[Measurement]] = defaultdict(list)
        for one in self.all:
            self._of_cell[one.cell.index].append(one)
        self._number = {one: number for number, one in enumerate(self.all)}
        self._counted = {
            one for cell in cells.cells for one in self.of(cell) if one.evidence in self._wanted(cell)
        }

    def evidence(self, cell: Cell) -> Evidence | None:
        """What kind of measurements a cell's numbers rest on: suspect ones only where no other is."""
        known = {m.evidence for m in self.of(cell)}
        if self.cells.dataset.include_suspect and known >= {"valid", "suspect"}:
            return "valid and suspect"
        return "valid" if "valid" in known else "suspect" if "suspect" in known else None

    def of(self, cell: Cell) -> list[Measurement]:
        """All measurements of a cell."""
        return self._of_cell[cell.index]

    def counted(self, cell: Cell) -> list[Measurement]:
        """Those that numbers are made of."""
        return [m for m in self.of(cell) if m in self._counted]

    def counts(self, measurement: Measurement) -> bool:
        """Whether numbers are made of it."""
        return measurement in self._counted

    def describe(self, cell: Cell) -> dict[str, Any]:
        """The columns of ``FLEET_FIELDS`` and ``COUNT_FIELDS``."""
        counted = self.counted(cell)
        return {
            "variant": cell.variant,
            "conditions": self.cells.condition(cell),
            "params": cell.params,
            "emulated": cell.emulated,
            "virtual": cell.virtual,
            "evidence": self.evidence(cell),
            "blocks": len(counted),
            "set_aside": len(self.of(cell)) - len(counted),
        }

    def rows(self, sql: str) -> dict[int, list[dict[str, Any]]]:
        """Answer of a query that joins ``parts`` (trial_id, m), by the number m in ``all``."""
        pairs = [(t["trial_id"], m) for m, one in enumerate(self.all) for t in one.trials]
        parts = pa.table(
            {
                "trial_id": pa.array([trial for trial, _ in pairs], pa.string()),
                "m": pa.array([m for _, m in pairs], pa.int64()),
            }
        )
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.cells.dataset.rows(sql, {"experiment": self.cells.experiment}, parts=parts):
            found[row["m"]].append(row)
        return found

    def number(self, measurement: Measurement) -> int:
        """Its number in ``all``."""
        return self._number[measurement]

    def _wanted(self, cell: Cell) -> tuple[str, ...]:
        word = self.evidence(cell) or ""
        return ("valid", "suspect") if word == "valid and suspect" else (word,)


def not_elsewhere(reasons: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons of failures without rows that were another host's to measure."""
    return [row for row in reasons if row["error_class"] != ELSEWHERE]


def _evidence(group: tuple[str, ...], trials: list[dict[str, Any]]) -> Evidence | None:
    whole = {t["host"] for t in trials} >= set(group)
    simulated = all(t["virtual"] for t in trials)  # each host imagines the others
    if not (whole or simulated) or any(t["outcome"] != "completed" for t in trials):
        return None
    words = {t["verdict"] for t in trials}
    return None if "invalid" in words else "suspect" if "suspect" in words else "valid"
