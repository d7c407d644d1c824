"""Series under the names that people read: conditions, variant, name, in the order of their values."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.cells import BASELINE_DRIVER, Cell, condition_words, telling
from orchestrator.cli.serving.glimpses.base import View
from orchestrator.cli.serving.observed import Series
from orchestrator.cli.serving.spread import Spread


@dataclass(frozen=True, slots=True)
class Worded:
    """One line, dot, point or entry of a picture."""

    conditions: str
    """What tells its cell from others; empty when nothing does."""
    label: str
    """Its variant."""
    name: str
    level: float
    spread: Spread
    is_baseline: bool
    is_virtual: bool


def worded(view: View, series: Sequence[Series]) -> list[Worded]:
    """The series of one picture. Those of which all values must be there are made one value each."""
    cells = list(dict.fromkeys(one.cell for one in series))
    said = [_conditions(cell, view) for cell in cells]
    names = telling(said)
    by_cell = dict(zip(cells, said, strict=True))
    ordered = sorted(
        series, key=lambda one: (_order(by_cell[one.cell], names), _name_order(view, one.place[1]))
    )
    return [
        Worded(
            condition_words({name: by_cell[one.cell].get(name) for name in names}),
            one.label,
            one.place[1],
            one.place[2],
            one.spread,
            one.cell.driver == BASELINE_DRIVER,
            one.cell.virtual,
        )
        for one in (_wholes(ordered) if view.whole else ordered)
    ]


def _conditions(cell: Cell, view: View) -> dict[str, Any]:
    return {name: value for name, value in cell.conditions.items() if name not in view.named_by}


def _order(conditions: dict[str, Any], names: Sequence[str]) -> list[tuple[int, float, str]]:
    return [_place(conditions.get(name)) for name in names]


def _name_order(view: View, name: str) -> tuple[int, str]:
    return (view.order.index(name), "") if name in view.order else (len(view.order), name)


def _place(value: Any) -> tuple[int, float, str]:
    return (1, float(value), "") if isinstance(value, int | float) else (0, 0.0, str(value))


def _wholes(series: Sequence[Series]) -> list[Series]:
    """The last value of every name that has all; infinite where one of them never came."""
    found: dict[tuple[Cell, str], Spread] = defaultdict(Spread)
    ends: dict[tuple[Cell, str], Series] = {}
    for one in series:
        if one.spread.n == one.whole:
            spread, last = found[one.cell, one.label], one.spread
            if last.never:
                spread.never += 1
            else:
                spread.counts[max(last.counts)] += 1
            ends[one.cell, one.label] = one
    return [
        Series(one.cell, one.label, (one.place[0], "", 0.0), found[key], 0) for key, one in ends.items()
    ]


def is_known(one: Worded) -> bool:
    """Whether its median came."""
    return math.isfinite(one.spread.quantile(0.5))
