"""Host classes: hosts that are alike, so that what one of them shows holds for the others."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.dataset import Dataset

CLASS_LABEL = "class"
"""An operator's label that names a host's class, before anything that its facts say."""
UNKNOWN = "class not known"
_GIB = 1 << 30
_FINE_BELOW_GIB = 16
"""Smaller memories are told apart by tenths of a GiB."""


@dataclass(frozen=True, slots=True)
class HostClass:
    """Hosts with the same label ``class``, or else with the same processor, count of it and memory."""

    name: str
    hosts: tuple[str, ...]
    cpu_count: int | None
    """Processors of each; None where they differ or nobody knows."""
    mem_bytes: float | None
    """Memory of each, the median of its hosts."""


def host_classes(dataset: Dataset) -> tuple[HostClass, ...]:
    """The classes of all hosts of a dataset, by name. A host is in one class: that of most trials."""
    said: dict[str, Counter[tuple[str, int | None, float | None]]] = defaultdict(Counter)
    for row in dataset.rows_once(_FACTS):
        said[row["host"]][_class_of(_read(row["labels"]), row)] += row["trials"]
    members: dict[str, list[tuple[str, int | None, float | None]]] = defaultdict(list)
    for host, found in sorted(said.items()):
        # a trial that failed before its host was looked at says nothing of it
        known = Counter({key: n for key, n in found.items() if key[0] != UNKNOWN}) or found
        name, cpus, memory = max(known, key=lambda key: (known[key], key[0]))
        members[name].append((host, cpus, memory))
    return tuple(_gather(name, hosts) for name, hosts in sorted(members.items()))


def class_of_host(classes: tuple[HostClass, ...]) -> dict[str, str]:
    """Name of the class of every host."""
    return {host: one.name for one in classes for host in one.hosts}


def _gather(name: str, hosts: list[tuple[str, int | None, float | None]]) -> HostClass:
    cpus = {count for _, count, _ in hosts}
    memories = sorted(memory for _, _, memory in hosts if memory is not None)
    return HostClass(
        name,
        tuple(host for host, _, _ in hosts),
        next(iter(cpus)) if len(cpus) == 1 else None,
        memories[len(memories) // 2] if memories else None,
    )


def _class_of(labels: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, int | None, float | None]:
    cpus = int(row["cpu_count"]) if row["cpu_count"] is not None else None
    memory = float(row["mem_bytes"]) if row["mem_bytes"] is not None else None
    if CLASS_LABEL in labels:
        return str(labels[CLASS_LABEL]), cpus, memory
    if cpus is None or memory is None:
        return UNKNOWN, cpus, memory
    size_gib = memory / _GIB
    shown = f"{size_gib:.0f}" if size_gib >= _FINE_BELOW_GIB else f"{size_gib:.1f}".removesuffix(".0")
    return f"{cpus} × {row['cpu_model'] or 'unknown processor'}, {shown} GiB", cpus, memory


def _read(text: str | None) -> Mapping[str, Any]:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else {}


_FACTS = """
    SELECT host, facts->>'$.labels' AS labels, facts->>'$.cpu_model' AS cpu_model,
        try_cast(facts->>'$.cpu_count' AS BIGINT) AS cpu_count,
        try_cast(facts->>'$.mem_bytes' AS DOUBLE) AS mem_bytes, count(*) AS trials
    FROM trials GROUP BY ALL ORDER BY ALL
"""
