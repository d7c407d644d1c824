import pytest

from analysis.metrics.shown import (
    UNITS,
    allowed_amounts,
    change_in_words,
    changes_in_words,
    parse_amount,
    range_in_words,
    value_in_words,
)


@pytest.mark.parametrize(
    ("given", "unit", "amount"),
    [
        ("500ms", "ns", 500e6),
        ("1.5 s", "ns", 1.5e9),
        ("210MiB", "bytes", 210 * 2**20),
        ("1%", "share", 0.01),
        (0.02, "share", 0.02),
        (200, "count", 200),
        ("20/s", "per_s", 20),
        ("30/min", "per_s", 0.5),
        ("80MiB/s", "bytes_per_s", 80 * 2**20),
        ("5mCPU", "cpus", 0.005),
        (500, "ns", None),
        ("500", "ns", None),
        ("5 apples", "bytes", None),
        ("-1ms", "ns", None),
        ("1MB", "ns", None),
        (True, "count", None),
        ("", "count", None),
    ],
)
def test_amounts_are_read_with_their_unit(given, unit, amount):
    assert parse_amount(given, unit) == (amount if amount is None else pytest.approx(amount))


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_allowed_is_allowed(unit):
    example = allowed_amounts(unit).rpartition("such as ")[2]
    assert parse_amount(example, unit) is not None
    assert value_in_words(None, unit) == range_in_words(None, 1.0, unit) == "n/a"
    assert "nan" not in value_in_words(1.5, unit)


def test_changes():
    assert change_in_words(1.07, "ratio") == "1.07×"
    assert change_in_words(0.004, "difference") == "+0.4 points"
    assert change_in_words(None, "ratio") == "n/a"
    assert changes_in_words(-0.01, 0.0, "difference") == "-1 to 0 points"
    assert changes_in_words(None, None, "difference") == "n/a"
