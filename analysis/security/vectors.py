"""Vectors of facts: those of the trials of one cell, together; where they disagree, it says so."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.cells import Cell, Cells

MEMBERS = "engine"
"""A fact whose value is a mapping: each of its members becomes a fact, ``engine.Privileged``."""
MOMENTARY = frozenset(
    {
        *("processes", "host_processes", "host_processes_visible", "interfaces", "host_interfaces"),
        *("host_mounts", "host_syscalls", "host_syscall_count"),
    }
)
"""What is so at one moment and otherwise at another, on one host, with nothing wrong."""


@dataclass(frozen=True)
class Merged:
    """One fact of one cell over its trials."""

    name: str
    how: str
    guest: bool
    """About a kernel of the instance's own."""
    told: tuple[tuple[str, Any], ...]
    """Host and value of every trial that knew it, in the order of host and block."""
    trials: int

    @cached_property
    def distinct(self) -> list[tuple[Any, int]]:
        """Different values with how many trials told each, the most frequent first."""
        counted = Counter(json.dumps(value, sort_keys=True) for _, value in self.told)
        return [(json.loads(text), number) for text, number in counted.most_common()]

    @property
    def agreed(self) -> bool:
        """Whether all that knew it told the same, or might well differ."""
        return len(self.distinct) <= 1 or self.name in MOMENTARY

    @property
    def known(self) -> bool:
        """Whether any trial knew it."""
        return bool(self.told)

    @cached_property
    def value(self) -> Any:
        """What is so; of lists that change by the moment, all there was. None: unknown or disputed."""
        values = [value for value, _ in self.distinct]
        if len(values) == 1 or not self.agreed:
            return values[0] if len(values) == 1 else None
        if values and all(isinstance(value, list) for value in values):
            return sorted({str(item) for value in values for item in value})
        return None

    @cached_property
    def always(self) -> list[str]:
        """Of lists: what was there in every trial that knew it, sorted."""
        found = [{str(item) for item in value} for value, _ in self.distinct]
        return sorted(set.intersection(*found)) if found else []

    @property
    def by_host(self) -> dict[str, list[Any]]:
        """Different values on each host."""
        found: dict[str, list[Any]] = defaultdict(list)
        for host, value in self.told:
            if value not in found[host]:
                found[host].append(value)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Vector:
    """All facts of one cell."""

    cell: Cell
    facts: Mapping[str, Merged]


def vectors_of(cells: Cells) -> list[Vector]:
    """One vector per cell of which a trial is believed, in table order."""
    cell_of = {m.trial_id: m.cell for m in cells.memberships if m.role == "timed"}
    sql = """
        SELECT trial_id, host, facts FROM trials
        WHERE experiment = $experiment ORDER BY host, block, "order", trial_id
    """
    told: dict[int, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for row in cells.dataset.rows(sql, {"experiment": cells.experiment}):
        if row["trial_id"] in cell_of:
            told[cell_of[row["trial_id"]]].append((row["host"], _facts_in(row["facts"])))
    return [Vector(cells.cells[index], _merge(trials)) for index, trials in sorted(told.items())]


def _merge(trials: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Merged]:
    names = list(dict.fromkeys(name for _, facts in trials for name in facts))
    found = {}
    for name in names:
        here = [(host, facts[name]) for host, facts in trials if name in facts]
        known = [(host, fact) for host, fact in here if fact["value"] is not None]
        first = (known or here)[0][1]
        told = tuple((host, fact["value"]) for host, fact in known)
        found[name] = Merged(name, first["how"], bool(first.get("guest")), told, len(trials))
    return found


def _facts_in(text: str) -> dict[str, Any]:
    """The vector among a trial's facts; empty when it has none that can be read."""
    try:
        vector = json.loads(text)["findings"]["security"]
        facts = {name: fact for name, fact in vector.items() if {"value", "how"} <= fact.keys()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    members = facts.pop(MEMBERS, None)
    if members is not None and isinstance(members["value"], dict):
        facts |= {
            f"{MEMBERS}.{name}": {"value": value, "how": f"{members['how']}: {name}"}
            for name, value in members["value"].items()
        }
    return facts
