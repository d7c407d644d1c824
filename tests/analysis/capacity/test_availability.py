import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.capacity.availability import (
    DomainLoss,
    availability,
    available_of,
    error_budget_minutes,
    fullest,
    hosts_after_loss,
    hosts_for,
    service_availability,
    unavailable_of,
)
from contract.errors import UseError


def test_published_values():
    assert availability(999.0, 1.0) == pytest.approx(0.999)
    assert error_budget_minutes(0.999) == pytest.approx(43.2)  # "three nines" a month
    assert error_budget_minutes(0.9999) == pytest.approx(4.32)
    assert available_of(2, 3, 0.9) == pytest.approx(0.972)  # two of three: 3a² − 2a³
    assert available_of(1, 2, 0.99) == pytest.approx(0.9999)


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0, 1))
def test_the_tail_is_that_of_the_binomial(needed, total, each):
    truth = stats.binom.sf(needed - 1, total, each)
    assert available_of(needed, total, each) == pytest.approx(truth, abs=1e-12)
    assert unavailable_of(needed, total, each) == pytest.approx(1 - truth, abs=1e-12)


def test_small_chances_keep_their_digits():
    assert unavailable_of(1, 10, 0.999) == pytest.approx(1e-30, rel=1e-9)


def test_a_simulated_instance_is_there_as_often():
    rng = np.random.default_rng(3)
    up, down = rng.exponential(500.0, 20_000), rng.gamma(2.0, 15.0, 20_000)
    assert up.sum() / (up + down).sum() == pytest.approx(availability(500.0, 30.0), abs=1e-3)


def test_domains_that_fail_together_are_counted_by_every_case():
    """Against the sum over all states of domains and instances."""
    domains, total, needed, each, gone = 3, 7, 4, 0.9, 0.05
    sizes = [3, 2, 2]
    truth = 0.0
    for there in itertools.product((True, False), repeat=domains):
        chance = math.prod(1 - gone if one else gone for one in there)
        lost = sum(sorted(sizes, reverse=True)[: there.count(False)])
        truth += chance * stats.binom.sf(needed - 1, total - lost, each)
    found = service_availability(needed, total, each, DomainLoss(domains, gone))
    assert found == pytest.approx(truth)
    assert found < service_availability(needed, total, each)


def test_domains_that_never_fail_change_nothing():
    assert service_availability(4, 7, 0.9, DomainLoss(3, 0.0)) == pytest.approx(available_of(4, 7, 0.9))
    assert service_availability(1, 7, 0.9, DomainLoss(3, 1.0)) == 0


@given(st.integers(1, 300), st.floats(0.3, 1), st.sampled_from([0.5, 0.9, 0.99, 0.999999]))
def test_the_fewest_hosts_reach_the_target_and_one_less_does_not(needed, each, target):
    found = hosts_for(needed, each, target)
    assert stats.binom.sf(needed - 1, found, each) >= target - 1e-12
    assert found == needed or stats.binom.sf(needed - 1, found - 1, each) < target + 1e-12


def test_hosts_that_are_always_there_need_no_spare():
    assert hosts_for(12, 1.0, 0.999999) == 12
    assert hosts_for(0, 0.5, 0.9) == 0


@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 8))
def test_the_fewest_hosts_outlast_the_fullest_domains(needed, domains, lost):
    if lost >= domains:
        with pytest.raises(UseError):
            hosts_after_loss(needed, domains, lost)
        return
    found = hosts_after_loss(needed, domains, lost)

    def left(total):
        sizes = [total // domains + (place < total % domains) for place in range(domains)]
        return total - sum(sorted(sizes)[domains - lost :])

    assert left(found) >= needed
    assert found == 0 or left(found - 1) < needed
    assert fullest(found, domains, lost) == found - left(found)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: availability(0.0, 1.0),
        lambda: availability(math.nan, 1.0),
        lambda: availability(1.0, -1.0),
        lambda: available_of(1, 2, 1.5),
        lambda: hosts_for(1, 0.9, 1.0),
        lambda: hosts_for(1, 0.0, 0.9),
        lambda: hosts_for(1, 1e-9, 0.9),
        lambda: error_budget_minutes(math.nan),
    ],
)
def test_numbers_that_make_no_sense_are_refused(refused):
    with pytest.raises(UseError):
        refused()
