"""Values counted in buckets: nothing is lost, and nothing is off by more than half a bucket."""

import numpy as np
import pytest

from analysis.statistics.buckets import GRAIN, bucket_sql, buckets_of, middles
from analysis.tallies import Tally, keys_of, seen, shares_of, tallied

N = 5000


@pytest.fixture
def columns():
    rng = np.random.default_rng(3)
    value = np.exp(rng.normal(0, 1, N))
    value[::50], value[1::50], value[2::50] = np.inf, np.nan, 0.0
    return {"trial": rng.integers(0, 3, N), "late": rng.random(N) < 0.5, "value": value}


def test_few_values_stand_for_themselves_in_their_order(columns):
    known = ~np.isnan(columns["value"])
    found = tallied(columns, "value", ("trial", "late"), rounded=False)
    assert (found["value"] == columns["value"][known]).all()
    assert (found["trial"] == columns["trial"][known]).all()
    assert (found["count"] == 1).all()


def test_many_values_are_counted_by_all_keys_and_none_is_lost(columns):
    found = tallied(columns, "value", ("trial", "late"), rounded=True)
    assert found["value"].size < N
    for trial in range(3):
        for late in (False, True):
            own = (columns["trial"] == trial) & (columns["late"] == late)
            here = (found["trial"] == trial) & (found["late"] == late)
            values = np.sort(columns["value"][own & ~np.isnan(columns["value"])])
            back = np.repeat(found["value"][here], found["count"][here])
            assert (np.isinf(back) == np.isinf(values)).all()
            finite = np.isfinite(values)
            assert back[finite] == pytest.approx(values[finite], rel=GRAIN * 1.001)


def test_what_few_values_differ_by_is_kept_as_it_is():
    columns = {"trial": np.array([1, 0, 1, 1, 0]), "lost": np.array([3.0, 3, 3, np.nan, 7])}
    found = seen(columns, "lost", ("trial",))
    rows = zip(
        found["trial"], found["lost" if "lost" in found else "value"], found["count"], strict=True
    )
    assert sorted(map(tuple, rows)) == [(0, 3, 1), (0, 7, 1), (1, 3, 2)]


def test_rows_too_many_to_be_numbered_are_counted_as_well(columns, monkeypatch):
    numbered = tallied(columns, "value", ("trial", "late"), rounded=True)
    monkeypatch.setattr("analysis.tallies._MOST_KEYS", 1)
    compared = tallied(columns, "value", ("trial", "late"), rounded=True)
    for name, column in numbered.items():
        assert column.dtype == compared[name].dtype
        assert (column == compared[name]).all()


def test_nothing_gives_nothing():
    nothing = {"trial": np.zeros(0, dtype=np.int64), "value": np.zeros(0)}
    for found in (
        tallied(nothing, "value", ("trial",), rounded=True),
        seen(nothing, "value", ("trial",)),
    ):
        assert {column.size for column in found.values()} == {0}


def test_sums_and_quantiles_count_multiplicities():
    ints = [np.array(column) for column in ([1, 3, 2], [0, 0, 1], [0, 1, 0])]
    some = Tally(np.array([5.0, np.inf, 1.0]), *ints)
    assert (some.n, some.infinite, some.median()) == (6, 3, np.inf)
    hits, sizes, hosts = some.shares()
    assert (hits.tolist(), sizes.tolist(), hosts.tolist()) == ([0, 3, 0], [1, 3, 2], [0, 0, 1])
    assert keys_of(some.host, some.block) == ((0, 0), (0, 1), (1, 0))
    assert shares_of(some.values < 2, *ints)[0].tolist() == [0, 0, 2]


def test_buckets_are_those_of_sql():
    import duckdb

    values = np.exp(np.random.default_rng(4).uniform(-500, 500, 500)) * np.tile([1, -1], 250)
    values[:3] = 0.0, np.inf, 1.0
    sql = f"SELECT {bucket_sql('v')} AS b FROM (SELECT unnest($values::DOUBLE[]) AS v)"
    with duckdb.connect() as connection:
        found = connection.execute(sql, {"values": values.tolist()}).fetchnumpy()["b"]
    assert (np.abs(found - buckets_of(values)) <= 1).all()
    assert middles(buckets_of(values)) == pytest.approx(values, rel=GRAIN * 1.001)
