"""Conditions on facts of hosts, as campaigns write them.

``mem_gib >= 64``, ``libvirt.accelerator == kvm``, ``root == true``.
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FORM = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)\s*(>=|<=|==|!=|>|<)\s*(\S(?:.{0,98}\S)?)")
_OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a host's fact with a value."""

    fact: str
    comparison: str
    value: str | float | bool

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it is so on a host with these facts. A fact that the host does not have never is."""
        found = facts.get(self.fact)
        if found is None or isinstance(found, bool) != isinstance(self.value, bool):
            return False
        if isinstance(found, int | float) != isinstance(self.value, int | float):
            found, value = str(found), str(self.value)
            return self.comparison in ("==", "!=") and _OPERATORS[self.comparison](found, value)
        return bool(_OPERATORS[self.comparison](found, self.value))


def parse_condition(text: str) -> Condition:
    """``"mem_gib >= 64"`` as a condition. Raises ValueError that says what the form is."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("FACT >= VALUE, with one of >=, <=, >, <, ==, != and a fact of `tonnage hosts`")
    fact, comparison, value = found.groups()
    parsed = _value(value)
    if isinstance(parsed, str | bool) and comparison not in ("==", "!="):
        raise ValueError(f"== or != before '{value}', which is no number")
    return Condition(fact, comparison, parsed)


def _value(text: str) -> str | float | bool:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text)
    except ValueError:
        return text
