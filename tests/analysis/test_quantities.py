import pytest

from analysis import quantities as q

INF = float("inf")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (161e6, "161 ms"),
        (1.5e9, "1.50 s"),
        (999.9e6, "1.00 s"),
        (3_000, "3.00 µs"),
        (7, "7.00 ns"),
        (0, "0 ns"),
        (90e9, "90.0 s"),
        (600e9, "10.0 min"),
        (7200e9, "2.00 h"),
        (-2e6, "-2.00 ms"),
        (INF, "> deadline"),
        (None, "n/a"),
        (float("nan"), "n/a"),
    ],
)
def test_durations_take_the_largest_unit_that_fits(ns, text):
    assert q.duration(ns) == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((159e6, 163e6), "159 to 163 ms"),
        ((900e6, 1.2e9), "0.900 to 1.20 s"),
        ((350e6, INF), "350 ms to > deadline"),
        ((INF, INF), "> deadline"),
        ((None, 1e6), "n/a"),
    ],
)
def test_an_interval_has_one_unit(ends, text):
    assert q.duration_range(*ends) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (1, "100 %"), (0.0033, "0.330 %"), (0.5, "50.0 %"), (None, "n/a")]
)
def test_shares(value, text):
    assert q.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00012345, "0.000123"),
        (9.999, "10.0"),
        (1234.5, "1\u202f230"),
        (2e-9, "2e-09"),
        (INF, "∞"),
        (123_456_789, "123\u202f000\u202f000"),
        (1e300, "1e+300"),
    ],
)
def test_three_digits_matter(value, text):
    assert q.digits(value) == text


def test_rates_per_minute_where_they_are_rare():
    assert q.rate(8.8) == "8.80/s"
    assert q.rate(0.05) == "3.00/min"
    assert q.rate_range(0.01, 0.05) == "0.600 to 3.00/min"
    assert q.rate(None) == q.rate_range(None, None) == "n/a"


@pytest.mark.parametrize(
    ("words", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abcd"), "a, b and 2 more")],
)
def test_lists_are_read_aloud(words, text):
    assert q.listed(words, most=3) == text


def test_sizes_counts_and_nouns():
    assert q.size(24 * 2**30) == "24 GiB"
    assert q.size(512) == "512 B"
    assert q.count(10_000) == "10\u202f000"
    assert q.count(None) == q.size(None) == q.ratio(None) == q.ratio_range(None, 1) == "n/a"
    assert (q.plural(1, "host"), q.plural(3, "host")) == ("1 host", "3 hosts")
    assert (q.plain(16), q.plain(0.5)) == ("16", "0.5")


def test_numbers_stay_with_their_units():
    assert q.tied("in 12 ms, 95 % of 3 hosts") == "in 12\u00a0ms, 95\u00a0% of 3 hosts"
