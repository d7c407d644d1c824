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


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (1020 * 2**20, "1020 MiB"),
        (1.904 * 2**20, "1.9 MiB"),
        (-3 * 2**10, "-3 KiB"),
        (0, "0 B"),
        (5 * 2**40, "5 TiB"),
        (None, "n/a"),
    ],
)
def test_sizes_take_the_largest_unit_that_fits(size_bytes, text):
    assert q.size(size_bytes) == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((1.87 * 2**20, 1.94 * 2**20), "1.87 to 1.94 MiB"),
        ((-100, 2 * 2**20), "0 to 2 MiB"),
        ((-3 * 2**20, 2**20), "-3 to 1 MiB"),
        ((214.9 * 2**20, 215.1 * 2**20), "214.9 to 215.1 MiB"),
        ((1e-9, 3), "0 to 3 B"),
        ((None, 3), "n/a"),
    ],
)
def test_an_interval_of_sizes_has_one_unit_and_tells_its_ends_apart(ends, text):
    assert q.size_range(*ends) == text


def test_few_processors_are_said_in_thousandths():
    assert q.processors(0.0031) == "3.10 mCPU"
    assert q.processors(1.5) == "1.50 CPU"
    assert q.processors_range(0.0029, 0.0033) == "2.90 to 3.30 mCPU"
    assert q.processors_range(0.5, 1.5) == "0.500 to 1.50 CPU"
    assert q.processors(None) == q.processors_range(None, 1.0) == "n/a"
    assert q.tied("costs 3 mCPU and 2 MiB") == "costs 3\u00a0mCPU and 2\u00a0MiB"
