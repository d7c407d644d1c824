"""Cells of two sides that were measured under the same conditions, and in words those that have none."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis import quantities
from analysis.cells import Cell, Cells, condition_words
from contract.trial import canonical_json

_MOST_DIFFERENCES = 3

Pair = tuple[Cell, Cell]
"""Baseline and other."""


@dataclass(frozen=True)
class Matched:
    """Pairs of cells, and sentences about cells without a partner."""

    pairs: tuple[Pair, ...]
    alone: tuple[str, ...]


def match_cells(baseline: Cells, other: Cells, freed: Iterable[str]) -> Matched:
    """Pair cells that are equal in all but ``freed``: the keys in which two selections differ.

    A key that is freed may differ; of several candidates those that are equal in it after all are
    paired. What is then left over, or has more than one candidate, stays alone.
    """
    free = frozenset(freed)
    pairs: list[Pair] = []
    left: tuple[list[Cell], list[Cell]] = ([], [])
    sides = [_grouped(cells.cells, free) for cells in (baseline, other)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        one, two = sides[0].get(key, []), sides[1].get(key, [])
        for same in (_everything, _variant):
            found = _pair_off(one, two, same)
            pairs += found
            one = [cell for cell in one if all(cell is not p[0] for p in found)]
            two = [cell for cell in two if all(cell is not p[1] for p in found)]
        if len(one) == len(two) == 1:
            pairs.append((one[0], two[0]))
        else:
            left[0].extend(one)
            left[1].extend(two)
    names = ("A", "B")
    alone = [_alone(left[i], cells, left[1 - i], names[i]) for i, cells in enumerate((baseline, other))]
    pairs.sort(key=lambda pair: pair[0].index)
    return Matched(tuple(pairs), tuple(sentence for some in alone for sentence in some))


def _grouped(cells: Sequence[Cell], free: frozenset[str]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        kept = {k: v for k, v in cell.conditions.items() if k not in free}
        if "driver" not in free:
            kept["driver"] = cell.driver
        if not free & {"driver", "profile"}:
            kept["profile"] = cell.profile
        found[canonical_json(kept)].append(cell)
    return found


def _everything(cell: Cell) -> tuple[Any, ...]:
    return (*_variant(cell), cell.params, cell.image, cell.limits, cell.emulated, cell.virtual)


def _variant(cell: Cell) -> tuple[Any, ...]:
    return cell.driver, cell.profile


def _pair_off(one: Sequence[Cell], two: Sequence[Cell], same: Any) -> list[Pair]:
    """Pairs that are alone of their kind on both sides."""
    of_two: dict[Any, list[Cell]] = defaultdict(list)
    of_one: dict[Any, list[Cell]] = defaultdict(list)
    for cells, into in ((one, of_one), (two, of_two)):
        for cell in cells:
            into[same(cell)].append(cell)
    return [
        (some[0], of_two[kind][0])
        for kind, some in of_one.items()
        if len(some) == 1 and len(of_two.get(kind, [])) == 1
    ]


def _alone(left: Sequence[Cell], cells: Cells, candidates: Sequence[Cell], name: str) -> Iterable[str]:
    other = "B" if name == "A" else "A"
    for cell in left:
        named = f"{cells.experiment}: {cell.variant}"
        said = cells.condition(cell)
        given = "" if said == "same for all" else f" with {said}"
        near = min(candidates, key=lambda c: len(_differences(cell, c)), default=None)
        why = ""
        if near is not None:
            why = f"; nearest there: {_in_words(cell, near) or 'several that fit alike'}"
        yield f"{named}{given} is in {name} and has no partner in {other}{why}."


def _differences(cell: Cell, near: Cell) -> list[str]:
    mine, theirs = _described(cell), _described(near)
    return [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]


def _in_words(cell: Cell, near: Cell) -> str:
    mine, theirs = _described(cell), _described(near)
    parts = [f"{_one(name, theirs)} instead of {_one(name, mine)}" for name in _differences(cell, near)]
    return quantities.listed(parts, _MOST_DIFFERENCES + 1)


def _described(cell: Cell) -> Mapping[str, Any]:
    return cell.conditions | {"driver": cell.driver, "profile": cell.profile}


def _one(name: str, values: Mapping[str, Any]) -> str:
    if name not in values:
        return f"no {name.replace('_', ' ')}"
    value = values[name]
    plain = value if isinstance(value, int | float | str) or value is None else json.dumps(value)
    return condition_words({name: plain})
