"""Sampling beside the measurement: every declared metric, and how late the loop itself runs."""

import asyncio
import random
import time

from trials import make_trial

from workers.bench import Bench, Recorder
from workers.clock import HostClock
from workers.drivers import simulated
from workers.meeting import Alone
from workers.ownership import Owner
from workers.sampler import METRICS, Sampler
from workers.settings import HostSettings

LATE_S = 0.1


def make_bench(host: HostSettings) -> Bench:
    trial = make_trial(host=host.name)
    owner = Owner(host.name, trial.campaign, trial.trial_id, 1, "boot")
    driver = simulated.Driver(simulated.SimulatedSettings(), host, owner)
    clock = HostClock()
    meeting = Alone(host.name, (host.name,), clock)
    return Bench(trial, driver, owner, clock, Recorder(), None, random.Random(1), meeting)


def sample(bench: Bench, sleep_s: float, block_s: float = 0.0) -> Sampler:
    async def section() -> Sampler:
        async with Sampler(bench, period_s=0.02) as sampler:
            await asyncio.sleep(sleep_s)
            time.sleep(block_s)
            await asyncio.sleep(sleep_s)
        return sampler

    return asyncio.run(asyncio.wait_for(section(), 60))


def test_every_metric_is_sampled_with_its_unit(host_settings: HostSettings) -> None:
    bench = make_bench(host_settings)
    sample(bench, sleep_s=0.1)
    seen = {(s.metric, s.unit) for s in bench.recorder.rows.samples}
    assert seen == {(metric.name, metric.unit) for metric in METRICS}
    times = [s.t_ns for s in bench.recorder.rows.samples]
    assert times == sorted(times)


def test_a_section_too_short_to_sample_has_its_sums(host_settings: HostSettings) -> None:
    bench = make_bench(host_settings)
    sampler = sample(bench, sleep_s=0)
    assert {s.metric for s in bench.recorder.rows.samples} == {"harness.cpu", "harness.lag_p99"}
    assert sampler.lag_p99_ns() == 0


def test_a_loop_that_was_held_up_is_late(host_settings: HostSettings) -> None:
    sampler = sample(make_bench(host_settings), sleep_s=0.06, block_s=LATE_S)
    assert max(sampler.lags_ns) >= (LATE_S - 0.03) * 1e9


def test_one_delay_is_counted_once(host_settings: HostSettings) -> None:
    """A single late wake must not make all that follow look late."""
    sampler = sample(make_bench(host_settings), sleep_s=0.2, block_s=0.5)
    late = [lag for lag in sampler.lags_ns if lag > 0.4e9]
    assert len(late) == 1


def test_work_of_the_harness_is_seen(host_settings: HostSettings) -> None:
    bench = make_bench(host_settings)

    async def section() -> Sampler:
        async with Sampler(bench) as sampler:
            before = time.process_time()
            while time.process_time() - before < 0.2:
                sum(range(1000))
        return sampler

    sampler = asyncio.run(section())
    assert sampler.cpu_share > 0


def test_an_empty_sampler_knows_no_lag(host_settings: HostSettings) -> None:
    assert Sampler(make_bench(host_settings)).lag_p99_ns() == 0
