"""Differences between the vectors of two variants, fact by fact."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.cells import Cells
from analysis.security.vectors import Merged, Vector

_PASSING = frozenset({"processes", "host_processes", "host_syscall_count", "host_kernel"})
"""They say more of the moment and the host than of the variant: shown, and no difference."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two variants under the same conditions; ``other`` is what is compared with."""

    variant: Vector
    other: Vector
    leading: bool
    """Worth a sentence: two drivers as they come, or a profile and its driver as it comes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is otherwise."""

    pair: Pair
    name: str
    fact: Merged
    other_fact: Merged
    undecided: bool
    """Trials of one side disagree."""
    only: tuple[str, ...] = ()
    """Of lists: what only the variant has."""
    only_other: tuple[str, ...] = ()


def pairs_of(cells: Cells, vectors: Sequence[Vector]) -> list[Pair]:
    """All pairs of variants under the same conditions, the one that is listed first as the other."""
    of_cell = {vector.cell.index: vector for vector in vectors}
    found = []
    for group in cells.groups():
        here = [of_cell[cell.index] for cell in group if cell.index in of_cell]
        first = {vector.cell.driver: vector for vector in reversed(here)}
        for other, variant in combinations(here, 2):
            own = first[variant.cell.driver] is variant and first[other.cell.driver] is other
            profiles = variant.cell.driver == other.cell.driver and first[other.cell.driver] is other
            found.append(Pair(variant, other, leading=own or profiles))
    return found


def differences_of(pair: Pair) -> list[Difference]:
    """All facts that both know and that are not the same."""
    found = []
    for name, fact in pair.variant.facts.items():
        other = pair.other.facts.get(name)
        if name in _PASSING or other is None or not fact.known or not other.known:
            continue
        if not (fact.agreed and other.agreed):
            found.append(Difference(pair, name, fact, other, undecided=True))
        elif fact.value != other.value and (difference := _difference(pair, name, fact, other)):
            found.append(difference)
    return found


def _difference(pair: Pair, name: str, fact: Merged, other: Merged) -> Difference | None:
    """None where lists differ by nothing that one has in every trial and the other in none."""
    one, two = fact.value, other.value
    if not (isinstance(one, list) and isinstance(two, list)):
        return Difference(pair, name, fact, other, undecided=False)
    only = tuple(item for item in fact.always if item not in set(map(str, two)))
    only_other = tuple(item for item in other.always if item not in set(map(str, one)))
    if not only and not only_other:
        return None
    return Difference(pair, name, fact, other, undecided=False, only=only, only_other=only_other)
