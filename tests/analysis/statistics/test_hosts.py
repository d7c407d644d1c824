"""Hosts that are not like the others."""

import numpy as np
import pytest

from analysis.statistics.diagnostics import BlockLogs
from analysis.statistics.hosts import HostEffects, host_effects, host_ratios, outlying


def effects(values, errors=0.0):
    values = np.asarray(values, dtype=np.float64)
    codes = np.arange(values.size)
    return HostEffects(codes, values, np.full(values.size, errors), np.full(values.size, 10))


def of_hosts(*rows):
    return BlockLogs(
        np.concatenate([np.asarray(row, dtype=np.float64) for row in rows]),
        np.concatenate([np.full(len(row), host) for host, row in enumerate(rows)]),
        np.concatenate([np.arange(len(row)) for row in rows]),
    )


def test_four_hosts_are_too_few_to_judge():
    assert outlying(effects([0, 0, 0, 9])) is None
    assert outlying(effects([])) is None


def test_one_far_host_is_found():
    found = outlying(effects([0.01, -0.02, 0.0, 0.02, -0.01, 0.015, 0.4]))
    assert found.picked.tolist() == [False] * 6 + [True]
    assert found.p_value[-1] < 0.001
    assert found.z[-1] > 10


def test_hosts_that_are_exactly_alike_give_none():
    found = outlying(effects([0.0] * 10))
    assert not found.picked.any()
    assert (found.p_value == 1.0).all()
    assert np.isfinite(found.z).all()


def test_a_difference_below_the_floor_is_none():
    found = outlying(effects([0.0] * 9 + [0.04]))
    assert not found.picked.any()
    assert outlying(effects([0.0] * 9 + [0.06])).picked.tolist() == [False] * 9 + [True]


def test_a_host_is_not_far_beyond_its_own_noise_only():
    calm = effects([0.01, -0.01, 0.0, 0.01, -0.01, 0.1], errors=0.001)
    noisy = HostEffects(calm.hosts, calm.effects, np.array([0.001] * 5 + [0.09]), calm.blocks)
    assert outlying(calm).picked[-1]
    assert not outlying(noisy).picked[-1]


def test_two_far_hosts_do_not_hide_each_other():
    found = outlying(effects([*np.linspace(-0.03, 0.03, 20), 0.5, 0.52]))
    assert found.picked.sum() == 2
    assert (found.p_value[-2:] < 0.001).all()


def test_effects_are_means_over_cells_against_the_median_host():
    cells = [of_hosts([1, 1], [2, 2], [3, 3.5]), of_hosts([10, 10], [10, 10], [11, 11])]
    found = host_effects(cells)
    assert found.effects.tolist() == pytest.approx([-0.5, 0, 1.125])
    assert found.blocks.tolist() == [2, 2, 2]
    assert found.errors[0] == 0
    assert found.errors[2] == pytest.approx(0.125)


def test_hosts_agree_or_contradict_each_other():
    rng = np.random.default_rng(1)
    alike = host_ratios(of_hosts(*rng.normal(0.3, 0.05, (6, 10))))
    assert alike.p_value > 0.05
    assert alike.unlike().tolist() == []
    other = host_ratios(of_hosts(*rng.normal(0.3, 0.05, (6, 10)), rng.normal(-0.3, 0.05, 10)))
    assert other.p_value < 1e-6
    assert other.unlike().tolist() == [6]


def test_two_hosts_that_contradict_each_other_are_both_sides():
    found = host_ratios(of_hosts([0.3, 0.31, 0.29], [-0.3, -0.31, -0.29]))
    assert found.p_value < 1e-4
    assert found.unlike().size == 1


def test_ratios_without_spread_or_blocks_say_nothing():
    same = host_ratios(of_hosts([0.1] * 3, [0.1] * 3))
    assert same.p_value == 1.0
    assert same.unlike().size == 0
    assert host_ratios(of_hosts([0.1], [0.2])).p_value is None
    assert host_ratios(of_hosts([0.1])).ratios[0].low is None
