"""From short trials to a whole campaign: what it would take on one host. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.plan import Cell

ROW_BYTES = 150
"""What one more row adds to a part, about: parts of few rows are mostly their Parquet headers."""
REPORT_BYTES = 1 << 20
"""A report with its tables and pictures, about: it hardly grows with the campaign."""

_SHORT: dict[str, dict[str, Any]] = {
    "lifecycle": {"instances": 4, "residents": 2},
    "density": {},
    "overhead": {"repeats": 2, "warm_ups": 0},
    "recovery": {"injections": 1},
    "management": {"operations": 1},
    "churn": {"duration_s": 3},
    "isolation": {"phase_s": 2, "ramp_s": 0.5},
}
"""Parameters that a pilot cuts down to these, when they are larger."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one short trial of a cell took."""

    cell: Cell
    fixed_s: float
    work_s: float
    """From its first stamp to its last: the share that grows with the work asked for."""
    work: float
    rows: int
    size_bytes: int

    def duration_s(self, cell: Cell) -> float:
        """What a trial of ``cell`` would take, the work in proportion; its deadline at most."""
        return min(self.fixed_s + self.work_s * work_of(cell) / self.work, cell.deadline_s)

    def part_bytes(self, cell: Cell) -> float:
        """The size that a part of ``cell`` would have."""
        return self.size_bytes + max(0.0, work_of(cell) / self.work - 1) * self.rows * ROW_BYTES


@dataclass(slots=True)
class Estimate:
    """What a campaign on one host would take, and how that is known."""

    duration_s: float = 0.0
    size_bytes: float = REPORT_BYTES
    tried: list[Tried] = field(default_factory=list)
    untried: dict[str, str] = field(default_factory=dict)
    """Cells that nothing is known of, with the reason."""
    tried_trials: int = 0
    """Trials that duration and size are of."""
    untried_trials: int = 0
    at_most_s: float = 0.0
    """What those may take, by their deadlines."""
    pilot_s: float = 0.0


def work_of(cell: Cell) -> float:
    """How much of what takes time a trial of the cell does: the unit is the experiment's own."""
    p = cell.params
    amounts: dict[str, Callable[[], float]] = {
        "lifecycle": lambda: math.ceil(
            (p["instances"] + p["warm_ups"] + p["residents"]) / p["concurrency"]
        ),
        "density": lambda: _steps(p) * (2 if p["descend"] else 1),
        "overhead": lambda: p["repeats"] + p["warm_ups"],
        "recovery": lambda: p["injections"],
        "management": lambda: p["operations"],
        "churn": lambda: p["duration_s"],
        "isolation": lambda: p["phase_s"] + p["ramp_s"],
    }
    return float(max(1.0, amounts.get(cell.experiment, lambda: 1.0)()))


def _steps(params: Mapping[str, Any]) -> int:
    """Steps of a staircase up to its most instances, each at least a share of those there."""
    there, steps = 0, 0
    while there < params["max_instances"]:
        there += max(params["step"], math.ceil(params["step_share"] * there))
        steps += 1
    return steps


def shortened(cell: Cell) -> Cell:
    """The cell cut down to a pilot's size: it does the same, only less of it."""
    cut = dict(cell.params)
    for name, most in _SHORT.get(cell.experiment, {}).items():
        cut[name] = min(cut[name], most)
    if cell.experiment == "density":
        cut |= {"max_instances": min(cut["max_instances"], cut["step"]), "descend": False}
    if cell.experiment == "lifecycle":
        cut["instances"] = min(cell.params["instances"], max(cut["instances"], cut["concurrency"]))
    return replace(cell, params=cut)


def add_cell(found: Estimate, cell: Cell, blocks: int) -> None:
    """Reckon with the cell itself, or with one of the same experiment and driver."""
    alike = [t for t in found.tried if (t.cell.experiment, t.cell.profile, t.cell.driver) == _kind(cell)]
    own = [t for t in alike if shortened(cell) == t.cell]
    if not alike:
        found.untried_trials += blocks
        found.at_most_s += blocks * cell.deadline_s
        return
    best = (own or alike)[0]
    found.tried_trials += blocks
    found.duration_s += blocks * best.duration_s(cell)
    # As parts, and once more in the dataset, where they lie closer together.
    found.size_bytes += 1.5 * blocks * best.part_bytes(cell)


def _kind(cell: Cell) -> tuple[str, str, str]:
    return cell.experiment, cell.profile, cell.driver
