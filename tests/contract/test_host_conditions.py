"""Conditions on facts: what may be written, and on which hosts it is so."""

from typing import Any

import pytest

from contract.host_conditions import Condition, parse_condition

FACTS = {
    "mem_gib": 64.0,
    "cpu_count": 8,
    "root": True,
    "cpu_model": "EPYC 7763",
    "docker.runtime": "runc",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mem_gib >= 64", True),
        ("mem_gib > 64", False),
        ("cpu_count<9", True),
        ("cpu_count != 8", False),
        ("root == true", True),
        ("root != true", False),
        ("cpu_model == EPYC 7763", True),
        ("docker.runtime == crun", False),
        ("docker.runtime != crun", True),
        ("docker.runtime == 3", False),
        ("root == 1", False),
        ("absent == 3", False),
        ("absent != 3", False),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert parse_condition(text).holds(FACTS) is holds


def test_numbers_are_numbers() -> None:
    assert parse_condition(" mem_gib  >=  1e2 ") == Condition("mem_gib", ">=", 100.0)


@pytest.mark.parametrize(
    "text", ["", "mem_gib", "mem_gib => 3", ">= 3", "a.b.c == 1", "x == " + "y" * 200]
)
def test_what_is_no_condition_says_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="FACT >= VALUE"):
        parse_condition(text)


@pytest.mark.parametrize("value", ["kvm", "true"])
def test_words_have_no_order(value: str) -> None:
    with pytest.raises(ValueError, match=f"== or != before '{value}'"):
        parse_condition(f"libvirt.accelerator >= {value}")


@pytest.mark.parametrize("facts", [{"n": None}, {"n": [1]}, {"n": "seven"}])
def test_facts_of_another_kind_never_fit_a_number(facts: dict[str, Any]) -> None:
    assert not parse_condition("n >= 1").holds(facts)
