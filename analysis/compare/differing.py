"""Facts in which two sides differ: kernel, engine, processor. What a release engineer looks at first."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analysis import quantities
from analysis.cells import variant_name
from analysis.compare.sides import Side, Sides
from analysis.section import Field

_RESULTS = "findings"
"""Among a trial's facts: what its experiment found, which is a result and shapes nothing."""
NOT_SAID = "not said"
_MOST_VALUES = 4
_MOST_VALUE = 120

DIFFERENCE_FIELDS = (
    Field("fact", "string", "fact, version or setting"),
    Field("a", "string", "what the baseline's trials say"),
    Field("b", "string", "what the other's trials say"),
)

_FACTS = """
    SELECT DISTINCT t.host, t.driver, t.profile, t.facts, t.versions, t.settings
    FROM trials t JOIN chosen USING (trial_id)
    WHERE t.outcome IN ('completed', 'partial')
    ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact with different values."""

    fact: str
    a: str
    b: str


def differences(sides: Sides) -> tuple[Difference, ...]:
    """Facts whose values on the two sides are not the same, by name.

    What moves from trial to trial on one host, such as its load, is left out.
    """
    a, b = (_values(side) for side in (sides.a, sides.b))
    found = []
    for name in sorted({*a, *b}):
        one, two = a.get(name, {}), b.get(name, {})
        if not _moves(one) and not _moves(two) and _every(one) != _every(two):
            said = _said(name, one), _said(name, two)
            if set(said) != {NOT_SAID}:  # a fact that is empty here and absent there
                found.append(Difference(_named(name), *said))
    return tuple(found)


def _values(side: Side) -> dict[str, dict[tuple[str, str], set[str]]]:
    """Values of every fact, as JSON, by host and variant."""
    found: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    ids = pa.table({"trial_id": pa.array([t["trial_id"] for t in side.trials], pa.string())})
    for row in side.dataset.rows(_FACTS, chosen=ids):
        variant = variant_name(row["driver"], row["profile"])
        for name, value in _flat(row["facts"]):
            if name.split(".")[0] != _RESULTS:
                found[name][row["host"], variant].add(value)
        for name, value in _flat(row["versions"]):
            version = f"{name.removesuffix('_version')}_version"
            found[version][row["host"], variant].add(value)
        for name, value in _flat(row["settings"]):
            found[f"setting {name}"][row["host"], variant].add(value)
    return found


def _flat(text: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    try:
        content = json.loads(text) if text else None
    except ValueError:
        return
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, dict):
            yield from _flat(json.dumps(value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, sort_keys=True, ensure_ascii=False)


def _moves(values: dict[tuple[str, str], set[str]]) -> bool:
    return any(len(of_one) > 1 for of_one in values.values())


def _every(values: dict[tuple[str, str], set[str]]) -> set[str]:
    return set().union(*values.values())


def _named(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


def _said(name: str, values: dict[tuple[str, str], set[str]]) -> str:
    every = sorted(_one(name, json.loads(value)) for value in _every(values))
    return quantities.listed(every, _MOST_VALUES) or NOT_SAID


def _one(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: NOT_SAID, True: "yes", False: "no"}[value]
    if isinstance(value, int | float) and name.endswith("bytes"):
        return quantities.size(value)
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 1]}…"
