"""Campaigns drawn in memory by the formulas of the simulated driver, thousands of them in seconds.

Medians, spreads and shares are those of ``SimulatedSettings``, and so are the formulas: every stage of
an instance takes its median times X·B·H, where X is log-normal and drawn per instance, B per trial and H
per host. No loop, no driver and no file takes part: left out is all else that the driver does (queues,
polling, failures). `tests/analysis/tables/test_truth.py` runs the driver itself.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.statistics.knees import Reached
from analysis.statistics.slopes import Climb
from analysis.statistics.survival import lifetimes
from workers.engines.simulated_truth import SimulatedSettings

PERIOD_MS = 20.0
"""Between two probes of a victim."""
_MANY = 400_000
"""Values from which a truth without a formula is taken."""


@dataclass(frozen=True)
class Design:
    """How much is measured, and how far blocks and hosts differ."""

    name: str
    blocks: int = 10
    """On each host."""
    size: int = 30
    """Instances, or injections, in each block."""
    hosts: int = 1
    block_sigma: float = 0.0
    host_sigma: float = 0.0

    @cached_property
    def factors(self):
        """Of the hosts: they are what they are, only blocks are drawn anew."""
        rng = np.random.default_rng([7, self.hosts])
        return np.exp(rng.normal(0, self.host_sigma, self.hosts))

    @property
    def trials(self):
        return self.blocks * self.hosts

    @property
    def host_of_trial(self):
        return np.repeat(np.arange(self.hosts), self.blocks)

    def trial_factors(self, rng):
        """B·H of every trial."""
        drawn = np.exp(rng.normal(0, self.block_sigma, self.trials))
        return drawn * self.factors[self.host_of_trial]


@dataclass(frozen=True)
class Columns:
    """What a query would have found: a value with its host and block."""

    values: np.ndarray
    block: np.ndarray
    host: np.ndarray


def ready_ms(truth: SimulatedSettings):
    """Median of the time to ready."""
    return truth.create_ms + truth.start_ms + truth.boot_ms + truth.reply_ms


def times_to_ready(truth: SimulatedSettings, design: Design, rng) -> Columns:
    """lifecycle: ms from the planned start to the first reply."""
    each = np.exp(rng.normal(0, truth.sigma, (design.trials, design.size)))
    values = ready_ms(truth) * each * design.trial_factors(rng)[:, None]
    block = np.tile(np.arange(design.blocks), design.hosts)
    return Columns(
        values.ravel(), np.repeat(block, design.size), np.repeat(design.host_of_trial, design.size)
    )


def true_quantile_ms(truth: SimulatedSettings, design: Design, p):
    """Of all instances that these hosts could ever start: a mixture of one log-normal per host."""
    from scipy import optimize, stats

    spread = float(np.hypot(truth.sigma, design.block_sigma))
    centres = np.log(ready_ms(truth) * design.factors)

    def above(log):
        return stats.norm.cdf((log - centres) / spread).mean() - p

    return float(np.exp(optimize.brentq(above, centres.min() - 9 * spread, centres.max() + 9 * spread)))


def injections(truth: SimulatedSettings, design: Design, deadline_ms, rng):
    """recovery under the engine's policy: times until the first good reply, cut off at the deadline."""
    factor = design.trial_factors(rng)[:, None]
    times = _recoveries(truth, factor, factor / design.factors[design.host_of_trial, None], design, rng)
    stuck = rng.random(times.shape) < truth.stuck_share
    recovered = ~stuck & (times <= deadline_ms)
    unit = np.repeat(np.arange(design.trials), design.size)
    host = np.repeat(design.host_of_trial, design.size)
    return lifetimes(np.where(recovered, times, deadline_ms).ravel(), recovered.ravel(), unit, host)


def _recoveries(truth, factor, without_host, design, rng):
    shape = factor.shape[0], design.size
    noticed = truth.notice_ms * without_host * np.exp(rng.normal(0, truth.sigma, shape))
    risen = np.exp(rng.normal(0, truth.sigma, shape)) * factor
    back = (truth.start_ms + truth.boot_ms + truth.reply_ms) * risen
    return noticed + truth.backoff_ms + back + rng.uniform(0, PERIOD_MS, shape)


def true_downtime_ms(truth: SimulatedSettings, design: Design, deadline_ms):
    """Mean of min(time to recover, deadline), from very many injections into these hosts."""
    rng = np.random.default_rng(99)
    size = _MANY // design.hosts
    blocks = np.exp(rng.normal(0, design.block_sigma, (design.hosts, size)))
    factor = blocks * design.factors[:, None]
    many = Design("many", blocks=1, size=size, hosts=design.hosts)
    times = _recoveries(truth, factor, blocks, many, rng)
    mean = float(np.minimum(times, deadline_ms).mean())
    return truth.stuck_share * deadline_ms + (1 - truth.stuck_share) * mean


@dataclass(frozen=True)
class Staircase:
    """One trial of density: the same steps for all, observed once each."""

    n: np.ndarray
    memory_mib: np.ndarray
    p50_ms: np.ndarray
    p99_ms: np.ndarray

    def memory(self) -> Climb:
        return Climb(self.n, self.memory_mib)

    def latency(self) -> Climb:
        return Climb(self.n[1:], self.p50_ms[1:])

    def reached(self, slo_ms) -> Reached:
        """As `analysis.density.staircases.Staircase.reached` has it."""
        met = self.p99_ms[1:] <= slo_ms
        most = self.n[1:][met].max(initial=0.0)
        return Reached(float(most), bool(met[-1]))


PROBES_EACH = 40
READINGS = 10
"""Probes of an instance, and readings of the host, that a step takes."""


def staircases(truth: SimulatedSettings, design: Design, steps, rng) -> list[Staircase]:
    """density: a staircase per trial."""
    factor = design.trial_factors(rng)
    return [_staircase(truth, f, np.asarray(steps, dtype=float), rng) for f in factor]


def _staircase(truth, factor, steps, rng):
    slope = truth.mem_slope_mib * np.exp(rng.normal(0, truth.mem_slope_sigma))
    noise = rng.normal(0, truth.mem_noise_mib, (steps.size, READINGS))
    memory = np.median(truth.mem_base_mib + slope * steps[:, None] + noise, axis=1)
    born = np.exp(rng.normal(0, truth.sigma, int(steps[-1]))) * factor
    quantiles = [_probed(truth, born[: int(n)], rng) for n in steps]
    p50, p99 = (np.array(column) for column in zip(*quantiles, strict=True))
    return Staircase(steps, memory, p50, p99)


def slowness(truth: SimulatedSettings, n):
    """How much longer an answer takes with n instances."""
    knee = truth.knee_instances or np.inf
    return 1 + truth.knee_rise * np.maximum(0.0, n / knee - 1)


def _probed(truth, born, rng):
    if not born.size:
        return np.nan, np.nan
    asked = rng.choice(born, size=min(50, max(1, round(0.1 * born.size))), replace=False)
    drawn = np.exp(rng.normal(0, truth.reply_sigma, (asked.size, PROBES_EACH)))
    values = np.sort((truth.reply_ms * asked[:, None] * drawn).ravel()) * slowness(truth, born.size)
    place = np.ceil(np.array([0.5, 0.99]) * values.size).astype(int) - 1
    return values[place[0]], values[place[1]]
