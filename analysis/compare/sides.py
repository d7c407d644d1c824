"""The two sides of a comparison, and the trials that each consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from analysis import quantities
from analysis.compare.selection import PLAIN_KEYS, Selection, select
from analysis.dataset import Dataset
from contract.errors import UseError

_NO_CONDITIONS = frozenset(PLAIN_KEYS) - {"driver", "profile"}


@dataclass(frozen=True)
class Side:
    """One side: a dataset, or part of it."""

    name: str
    dataset: Dataset
    selection: Selection

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """Its trials."""
        return self.dataset.trials()

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Hosts that have trials."""
        return frozenset(trial["host"] for trial in self.trials)

    def on(self, hosts: frozenset[str]) -> "Side":
        """The same, some hosts only."""
        chosen = {t["trial_id"] for t in self.trials if t["host"] in hosts}
        return Side(self.name, self.dataset.selected(chosen), self.selection)


@dataclass(frozen=True)
class Sides:
    """What is compared: ``b``, the new, with ``a``, the baseline."""

    a: Side
    b: Side
    same_dataset: bool
    freed: frozenset[str]
    """Conditions in which the selections differ: cells need not be equal in them."""
    notes: tuple[str, ...] = ()

    @property
    def one_host_each(self) -> tuple[str, str] | None:
        """The two hosts, when the question is how these two compare."""
        if "host" not in self.freed or len(self.a.hosts) != 1 or len(self.b.hosts) != 1:
            return None
        (one,), (two,) = self.a.hosts, self.b.hosts
        return (one, two) if one != two else None


def sides_of(datasets: tuple[Dataset, Dataset], selections: tuple[Selection, Selection]) -> Sides:
    """Choose both sides' trials. Across datasets only hosts that both have are compared, if any.

    Raises UseError when a selection chooses nothing or both sides have the same trials.
    """
    same = datasets[0] is datasets[1]
    if same and not all(selection.terms for selection in selections):
        raise UseError("one dataset: say with --a and --b which two parts of it to compare")
    a, b = (
        Side(name, select(dataset, selection, f"--{name.lower()}"), selection)
        for name, dataset, selection in zip("AB", datasets, selections, strict=True)
    )
    both = {t["trial_id"] for t in a.trials} & {t["trial_id"] for t in b.trials}
    if same and both:
        raise UseError(
            f"--a and --b have {quantities.plural(len(both), 'trial')} in common: "
            f"'{selections[0]}' and '{selections[1]}' must not overlap"
        )
    freed = _freed(selections)
    notes = [] if same else [*_missing(a, b), *_twice(a, b), *_overlap(a, b)]
    if not same and "host" not in freed:
        a, b, said = _on_common_hosts(a, b)
        notes += said
    return Sides(a, b, same, freed, tuple(notes))


def _freed(selections: tuple[Selection, Selection]) -> frozenset[str]:
    keys = {key for selection in selections for key in selection.by_key}
    return frozenset(k for k in keys if selections[0].said_of(k) != selections[1].said_of(k))


def _on_common_hosts(a: Side, b: Side) -> tuple[Side, Side, list[str]]:
    common = a.hosts & b.hosts
    if not common:
        return a, b, ["No host is in both datasets: what their hosts are does not cancel."]
    notes = []
    for side in (a, b):
        if only := sorted(side.hosts - common):
            hosts = quantities.listed(only)
            notes.append(f"Left out, because only {side.name} has it: {hosts}.")
    return a.on(common), b.on(common), notes


def _missing(a: Side, b: Side) -> list[str]:
    counts = [(side.name, len(side.dataset.manifest.missing)) for side in (a, b)]
    return [f"{name} lacks {quantities.plural(n, 'planned trial')}." for name, n in counts if n]


def _twice(a: Side, b: Side) -> list[str]:
    known = {_identity(t) for t in a.trials}
    twice = sum(_identity(t) in known for t in b.trials)
    if not twice:
        return []
    return [f"{quantities.plural(twice, 'trial')} of B are those of A: the same measurement twice."]


def _identity(trial: Mapping[str, Any]) -> tuple[Any, ...]:
    return trial["trial_id"], trial["attempt"], trial["started_at"], trial["duration_ns"]


def _overlap(a: Side, b: Side) -> list[str]:
    """Hosts whose blocks of both sides took turns, by when they began."""
    taking_turns = 0
    common = sorted(a.hosts & b.hosts)
    for host in common:
        begun = sorted(
            {
                (t["started_at"], side.name)
                for side in (a, b)
                for t in side.trials
                if t["host"] == host and t["started_at"] is not None  # of imported ones nobody knows
            }
        )
        names = [name for _, name in begun]
        taking_turns += sum(one != two for one, two in pairwise(names)) > 1
    if not taking_turns:
        return []
    where = quantities.plural(taking_turns, "host")
    said = f"The two datasets were measured at overlapping times on {where}"
    return [f"{said}: drift between the runs weighs less than is assumed here."]
