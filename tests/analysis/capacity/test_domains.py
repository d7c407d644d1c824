"""Failure domains: the closed forms against counting."""

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.capacity.demand import Domains, HostFailures
from analysis.capacity.domains import ALONE, Layout, hosts_up


@pytest.mark.parametrize("lose", [0, 1, 2])
@pytest.mark.parametrize("given", [{"count": 3}, {"count": 5}, {"sizes": [4, 9, 2, 7]}])
def test_the_fewest_hosts_of_which_enough_survive(given: dict, lose: int) -> None:
    layout = Layout(Domains(**given, lose=lose))
    room = int(min(layout.room, 40))

    def survivors(hosts: int) -> int:
        spread = layout.spread(hosts)
        assert sum(spread) == hosts
        return min(hosts - sum(gone) for gone in itertools.combinations(spread, lose))

    for hosts in range(1, room + 1):
        assert hosts - layout.lost(np.array([hosts]))[0] == survivors(hosts)
    for needed in range(1, 12):
        fewest = next((h for h in range(1, room + 1) if survivors(h) >= needed), np.inf)
        assert layout.hosts_for(np.array([float(needed)]))[0] == fewest, needed


def test_whole_domains_hold_the_same_number_each() -> None:
    whole = Layout(Domains(count=3, lose=1, whole=True))
    assert whole.hosts_for(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [3, 3, 6, 6]
    assert Layout(Domains(count=3, lose=1)).hosts_for(np.array([1.0]))[0] == 2


def test_no_room_is_infinite_and_what_cannot_be_stays_so() -> None:
    layout = Layout(Domains(sizes=[2, 2], lose=1))
    assert layout.hosts_for(np.array([2.0, 3.0, np.inf])).tolist() == [4, np.inf, np.inf]
    assert Layout(Domains(count=2)).hosts_for(np.array([np.inf]))[0] == np.inf


def test_hosts_that_stand_alone_are_lost_one_at_a_time() -> None:
    layout = Layout(ALONE)
    assert layout.hosts_for(np.array([1.0, 10.0])).tolist() == [2, 11]
    assert layout.lost(np.array([2.0, 900.0])).tolist() == [1, 1]


def test_independent_failures_agree_with_the_binomial() -> None:
    failures = HostFailures(mtbf="4000h", mttr="8h", target=0.999)
    for needed in (1, 5, 40, 300):
        found = hosts_up(np.array([float(needed)]), failures)[0]
        chance = [stats.binom.sf(needed - 1, n, failures.up) for n in (found - 1, found)]
        assert chance[1] >= 0.999 > chance[0] or found == needed
