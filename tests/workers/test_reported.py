"""Commands in words, and numbers out of what they print: patterns, JSON paths, shapes of numbers."""

import shlex

import pytest

from contract.errors import WorkError
from workers.experiments.reported import (
    check_path,
    check_pattern,
    encoded,
    number_by_path,
    number_by_pattern,
    words_of,
)

SYSBENCH = "CPU speed:\n    events per second:   944.20\n\nThroughput:\n    events/s (eps):  12\n"
FIO = """note: both iodepth >= 1
{
 "jobs": [{"read": {"iops": 58731.25, "lat ns": {"99.0": "1,064"}}}],
 "ok": true
}
"""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sysbench cpu run", ["sysbench", "cpu", "run"]),
        ("sh -c 'a; b' \"\" $x", ["sh", "-c", "a; b", "", "$x"]),
        ("/usr/bin/fio --name=a\\ b", ["/usr/bin/fio", "--name=a b"]),
    ],
)
def test_a_command_is_split_and_nothing_more(command: str, words: list[str]) -> None:
    assert words_of(command) == words
    assert words_of(shlex.join(words)) == words


@pytest.mark.parametrize("command", ["", "  ", "''", "./x", "a 'b", "a\0b", "x " + "é" * 400])
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - shlex has words of its own
        words_of(command)


def test_words_travel_in_plain_characters() -> None:
    assert encoded("--a=b/c.d:1,2") == "=--a=b/c.d:1,2"
    assert encoded("a b\n$'\\") == "=a\\040b\\012\\044\\047\\134".replace("\\", "\\0")
    assert encoded("") == "="


@pytest.mark.parametrize(
    ("pattern", "text", "number"),
    [
        (r"events per second:\s+([0-9.]+)", SYSBENCH, 944.2),
        (r"^\s+events/s \(eps\):\s+(\d+)$", SYSBENCH, 12),
        ("rate (.*)", "rate 1,234,567.5 \nrate 2", 1234567.5),
        ("v=(.*);", "v=-1.5e3;", -1500),
        ("v=(.*);", "v=.5;", 0.5),
        ("(?:a|b) (.*)", "b 1E-3", 0.001),
    ],
)
def test_the_first_group_of_the_first_match_is_the_number(
    pattern: str, text: str, number: float
) -> None:
    assert number_by_pattern(check_pattern(pattern), text) == number


@pytest.mark.parametrize(
    "held",
    ["", "abc", "1,23", "12,34,567", "1.2.3", "1 234", "nan", "inf", "1e999", "e5", ",123", "0x10"],
)
def test_what_is_not_plainly_a_number_is_none(held: str) -> None:
    with pytest.raises(WorkError, match=r"not a number|too large"):
        number_by_pattern("v=<(.*)>", f"v=<{held}>")


def test_no_match_shows_where_the_output_begins() -> None:
    with pytest.raises(WorkError, match=r"matches 'x\(.\)'; it begins: 'CPU speed"):
        number_by_pattern("x(.)", SYSBENCH)
    with pytest.raises(WorkError, match="it is empty"):
        number_by_pattern("x(.)", "")


@pytest.mark.parametrize("pattern", ["(", "no group", "(?=ahead)(x)", "*(x)", r"(x)\1"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="a pattern with a group"):
        check_pattern(pattern)


def test_a_pattern_that_would_take_others_for_ever_ends() -> None:
    with pytest.raises(WorkError, match="matches"):
        number_by_pattern("((?:(?:a+)+)+)b", "a" * 32_000)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("$.jobs[0].read.iops", 58731.25),
        ("$['jobs'][-1][\"read\"].iops", 58731.25),
        ("$.jobs[0].read['lat ns']['99.0']", 1064),
    ],
)
def test_a_path_leads_to_its_number(path: str, number: float) -> None:
    assert number_by_path(check_path(path), FIO) == number


@pytest.mark.parametrize(
    "path", ["", "$", "jobs", "$jobs", "$.jobs[*]", "$..iops", "$.a[01]", "$.a.", "$['a"]
)
def test_what_is_no_singular_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a path like"):
        check_path(path)


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("$.jobs[1].read", FIO, "nothing at"),
        ("$.jobs.read", FIO, "nothing at"),
        ("$.ok", FIO, "not a number: true"),
        ("$.jobs", FIO, "not a number"),
        ("$.a", '{"a": NaN}', "not a number"),
        ("$.a", "", "no JSON document in the output; it begins: it is empty"),
        ("$.a", "{broken\n[", "no JSON document"),
        ("$[0]", "[" * 30_000, "no JSON document"),
    ],
)
def test_what_is_not_there_is_said(path: str, text: str, why: str) -> None:
    with pytest.raises(WorkError, match=why):
        number_by_path(path, text)
