import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from analysis.capacity.queueing import Service, erlang_b, erlang_c, fewest_instances, waiting
from contract.errors import UseError

ERLANG_B_TABLE = {
    (1, 0.01): 0.0101,
    (5, 0.01): 1.36,
    (10, 0.01): 4.46,
    (20, 0.01): 12.0,
    (50, 0.01): 37.9,
    (100, 0.01): 84.1,
    (10, 0.001): 3.09,
    (100, 0.05): 95.2,
}
"""Traffic tables of ITU-T's teletraffic handbook: erlangs that so many lines carry at a blocking."""


@pytest.mark.parametrize(("of", "load"), ERLANG_B_TABLE.items())
def test_the_published_table_of_lines(of, load):
    lines, blocking = of
    low, high = (erlang_b(lines, load * (1 + off)) for off in (-0.005, 0.005))
    assert low < blocking < high


def test_textbook_values():
    assert erlang_c(1, 0.7) == pytest.approx(
        0.7
    )  # M/M/1: a request waits as often as the server is busy
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(10, 8.0) == pytest.approx(0.4092, abs=5e-5)
    found = waiting(Service(2.0, 0.5), 2)  # Gross & Harris' M/M/2 at half load: Wq = 1/3 of a service
    assert found.mean_s == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("servers", [1, 7, 300, 20_000, 1_000_000])
def test_large_numbers_agree_with_the_poisson_distribution(servers):
    """B(c, a) = P(N = c)/P(N ≤ c) for N of Poisson with mean a."""
    load = servers - 2 * math.sqrt(servers) if servers > 1 else 0.4
    log = servers * math.log(load) - load - special.gammaln(servers + 1)
    truth = math.exp(log) / special.pdtr(servers, load)
    assert erlang_b(servers, load) == pytest.approx(truth, rel=1e-6)
    assert erlang_c(servers, load) == pytest.approx(truth / (1 - load / servers * (1 - truth)), rel=1e-6)


@given(st.floats(0.01, 400), st.integers(1, 500))
def test_more_servers_make_fewer_wait(load, servers):
    now, more = erlang_c(servers, load), erlang_c(servers + 1, load)
    assert 0 <= more <= now <= 1


def simulated_waits(rng, between, served, servers):
    """Waiting times where the next free server takes the next request."""
    free = [0.0] * servers
    waits, now = [], 0.0
    for gap, time in zip(between, served, strict=True):
        now += gap
        start = max(now, heapq.heappop(free))
        waits.append(start - now)
        heapq.heappush(free, start + time)
    return np.array(waits[len(waits) // 10 :])


@pytest.mark.parametrize(("servers", "rate"), [(1, 0.6), (4, 3.2), (20, 17.0)])
def test_a_simulated_queue_waits_as_long(servers, rate):
    rng, n = np.random.default_rng(7), 150_000
    waits = simulated_waits(rng, rng.exponential(1 / rate, n), rng.exponential(1.0, n), servers)
    found = waiting(Service(rate, 1.0), servers, limit_s=0.5)
    assert waits.mean() == pytest.approx(found.mean_s, rel=0.07)
    assert (waits > 1e-12).mean() == pytest.approx(found.delayed, rel=0.05)
    assert (waits > 0.5).mean() == pytest.approx(found.late, rel=0.07)


def test_one_server_with_any_service_is_that_of_pollaczek_and_khinchine():
    for cv in (0.0, 0.5, 2.0):
        rate = 0.7
        exact = rate * (1 + cv**2) / (2 * (1 - rate))  # λE[S²]/(2(1−ρ)) for a mean service of 1
        assert waiting(Service(rate, 1.0, service_cv=cv), 1).mean_s == pytest.approx(exact)


def test_even_service_halves_the_wait_of_a_simulated_queue():
    rng, n = np.random.default_rng(8), 100_000
    waits = simulated_waits(rng, rng.exponential(1 / 3.4, n), np.ones(n), 4)
    assert waits.mean() == pytest.approx(waiting(Service(3.4, 1.0, service_cv=0.0), 4).mean_s, rel=0.1)


@pytest.mark.parametrize("rate", [0.0, 0.3, 5.0, 400.0, 40_000.0])
@pytest.mark.parametrize(("limit_s", "quantile"), [(0.0, 0.5), (0.05, 0.99), (2.0, 0.999)])
def test_the_fewest_instances_keep_the_limit_and_one_less_does_not(rate, limit_s, quantile):
    service = Service(rate, 0.7, service_cv=1.5)
    found = fewest_instances(service, limit_s, quantile)
    assert found.late <= (1 - quantile) * (1 + 1e-9)
    assert found == waiting(service, found.instances, limit_s) or rate >= 400
    fewer = waiting(service, found.instances - 1, limit_s)
    assert found.instances == 1 or fewer.late > 1 - quantile


def test_too_few_instances_never_catch_up():
    found = waiting(Service(10.0, 1.0), 10)
    assert (found.delayed, found.mean_s, found.late) == (1.0, math.inf, 1.0)
    assert waiting(Service(10.0, 1.0), 0).utilisation == math.inf


def test_what_never_varies_never_waits():
    found = fewest_instances(Service(9.5, 1.0, 0.0, 0.0), 0.0, 0.99)
    assert (found.instances, found.late, found.mean_s) == (10, 0.0, 0.0)


@pytest.mark.parametrize("numbers", [(-1, 1), (1, 0), (1, math.nan), (math.inf, 1), (1, 1, -1)])
def test_services_that_make_no_sense_are_refused(numbers):
    with pytest.raises(UseError):
        Service(*numbers)


@pytest.mark.parametrize(("limit_s", "quantile"), [(-1, 0.9), (1, 1.0), (1, 0.0), (math.nan, 0.9)])
def test_limits_that_make_no_sense_are_refused(limit_s, quantile):
    with pytest.raises(UseError):
        fewest_instances(Service(1, 1), limit_s, quantile)


def test_what_nobody_could_plan_is_refused():
    with pytest.raises(UseError, match="more than can be planned"):
        fewest_instances(Service(1e9, 1), 1, 0.9)
