"""The truth of a simulated host's memory, processors and walls, which density has to find again.

Model: with n running instances, memory in use is ``base + slope·F·Σ growth(age) + leaked + noise``. F is
drawn once per trial (log-normal, ``mem_slope_sigma``), the noise anew for every reading. An instance's
growth goes from 0 to 1 with time constant ``mem_settle_s``. Requests are answered in their ordinary time
up to ``knee_instances``, and in ``1 + knee_rise·(n/knee − 1)`` times that beyond it.
"""

import asyncio
import math
import random
from collections.abc import Callable

from pydantic import Field

from contract.catalog import Settings
from workers.gauge import Footprint, Gauge, HostPss

_MIB = 1024 * 1024
_STALLED_PERCENT = 50.0
"""Memory pressure when nothing is available any more."""
_SWAPPED_IN_BYTES_PER_S = 100.0 * _MIB
"""The same for what comes back from swap."""

_COUNTED_FOR_S = 0.5


class DensitySettings(Settings):
    """What a simulated host has, and what an instance takes of it."""

    mem_total_mib: int = Field(65_536, ge=64, description="memory of the host, MiB")
    mem_base_mib: float = Field(2048, ge=0, description="in use with no instance")
    mem_slope_mib: float = Field(5, ge=0, description="in use more per instance, median of trials")
    mem_slope_sigma: float = Field(0.0, ge=0, le=3, description="its spread between trials (log scale)")
    mem_noise_mib: float = Field(2, ge=0, description="standard deviation of a reading")
    mem_settle_s: float = Field(0, ge=0, description="time constant of an instance's growth")
    mem_leak_mib: float = Field(0, ge=0, description="kept by the host per instance that has gone")
    pss_slope_mib: float = Field(4, ge=0, description="PSS of all processes, more per instance")
    instance_pss_mib: float = Field(2, ge=0, description="PSS of an instance's own processes")
    instance_cgroup_mib: float = Field(3, ge=0, description="charged to an instance's control group")
    cpu_count: int = Field(64, ge=1, description="processors of the host")
    cpu_base: float = Field(0.1, ge=0, description="processors busy with no instance")
    cpu_slope_millicores: float = Field(1, ge=0, description="processors busy more per idle instance")
    cpu_noise: float = Field(0.005, ge=0, description="standard deviation between readings, processors")
    pids_per_instance: int = Field(3, ge=0, description="processes and threads per instance")
    pids_max: int = Field(32_768, ge=300, description="process numbers of the host")
    knee_instances: int = Field(0, ge=0, description="above so many, answers take longer; 0 = never")
    knee_rise: float = Field(1, ge=0, description="how much longer, at twice as many instances")
    reply_sigma: float = Field(0.0, ge=0, le=3, description="spread between answers (log scale)")
    wall_instances: int = Field(0, ge=0, description="beside so many, starts fail; 0 = no wall")
    pressure_share: float = Field(
        0, ge=0, le=1, description="below this share of available memory, tasks stall"
    )
    swap_share: float = Field(
        0, ge=0, le=1, description="below this share of available memory, the host swaps in"
    )

    @property
    def mem_total_bytes(self) -> int:
        """Memory of the host."""
        return self.mem_total_mib * _MIB


class SimulatedHost:
    """One trial's view of the host: noise and history. Time is the loop's own, as all time here is."""

    def __init__(
        self, truth: DensitySettings, rng: random.Random, birthdays: Callable[[], list[float]]
    ) -> None:
        self._truth, self._rng, self._birthdays = truth, rng, birthdays
        self._factor = math.exp(truth.mem_slope_sigma * rng.gauss(0, 1))
        self._read_at: float | None = None
        self._busy_s = 0.0
        self._swapped_in_bytes = 0.0
        self._counted_at: float | None = None
        self._count = 0
        self.gone = 0
        """Instances that ran and were removed."""

    @property
    def slope_mib(self) -> float:
        """The true slope of this trial."""
        return self._truth.mem_slope_mib * self._factor

    @property
    def slowness(self) -> float:
        """How much longer an answer takes now, drawn anew for each."""
        truth = self._truth
        drawn = math.exp(truth.reply_sigma * self._rng.gauss(0, 1)) if truth.reply_sigma else 1.0
        many = self._running() if truth.knee_instances else 0
        if many <= truth.knee_instances:
            return drawn
        return drawn * (1 + truth.knee_rise * (many / truth.knee_instances - 1))

    @property
    def is_full(self) -> bool:
        """Whether no more can be started."""
        wall = self._truth.wall_instances
        return wall > 0 and len(self._birthdays()) >= wall

    def gauge(self) -> Gauge:
        """A reading, with its noise."""
        truth, now_s = self._truth, asyncio.get_running_loop().time()
        birthdays = self._birthdays()
        used_mib = truth.mem_base_mib + self.slope_mib * self._grown(birthdays, now_s)
        used_mib += truth.mem_leak_mib * self.gone + self._rng.gauss(0, truth.mem_noise_mib)
        available = max(0.0, truth.mem_total_mib - used_mib) / truth.mem_total_mib
        self._let_pass(now_s, len(birthdays), available)
        stalled = _STALLED_PERCENT * _shortage(available, truth.pressure_share)
        processes = 100 + truth.pids_per_instance * len(birthdays)
        return Gauge(
            mem_total_bytes=truth.mem_total_bytes,
            mem_available_bytes=round(available * truth.mem_total_bytes),
            cpu_count=truth.cpu_count,
            cpu_busy_s=self._busy_s,
            swapped_in_bytes=round(self._swapped_in_bytes),
            psi_cpu_some=0.0,
            psi_memory_some=min(100.0, 2 * stalled),
            psi_memory_full=stalled,
            psi_io_full=0.0,
            processes=processes,
            tasks=processes,
            pids_max=truth.pids_max,
        )

    def footprint(self, instances: int) -> Footprint:
        """What so many instances hold."""
        truth = self._truth
        return Footprint(
            round(truth.instance_pss_mib * instances * _MIB),
            round(truth.instance_cgroup_mib * instances * _MIB),
        )

    def pss(self) -> HostPss:
        """All processes: those of the base, and what each instance brings, daemons included."""
        truth = self._truth
        pss_mib = truth.mem_base_mib / 2 + truth.pss_slope_mib * len(self._birthdays())
        return HostPss(round(max(0.0, pss_mib + self._rng.gauss(0, truth.mem_noise_mib)) * _MIB), 0)

    def _running(self) -> int:
        """How many run. Counted twice a second at most: every answer asks for it."""
        now_s = asyncio.get_running_loop().time()
        if self._counted_at is None or now_s - self._counted_at >= _COUNTED_FOR_S:
            self._counted_at, self._count = now_s, len(self._birthdays())
        return self._count

    def _grown(self, birthdays: list[float], now_s: float) -> float:
        settle_s = self._truth.mem_settle_s
        if not settle_s:
            return float(len(birthdays))
        return sum(1 - math.exp(-(now_s - born_s) / settle_s) for born_s in birthdays)

    def _let_pass(self, now_s: float, instances: int, available: float) -> None:
        """Count on what grows with time: processor seconds, bytes read back from swap."""
        truth = self._truth
        passed_s = 0.0 if self._read_at is None else now_s - self._read_at
        self._read_at = now_s
        cpus = truth.cpu_base + truth.cpu_slope_millicores / 1000 * instances
        cpus += self._rng.gauss(0, truth.cpu_noise)
        self._busy_s += min(max(0.0, cpus), float(truth.cpu_count)) * passed_s
        self._swapped_in_bytes += (
            _SWAPPED_IN_BYTES_PER_S * _shortage(available, truth.swap_share) * passed_s
        )


def _shortage(available: float, below: float) -> float:
    """0 while at least the share ``below`` is available, 1 when nothing is."""
    return max(0.0, 1 - available / below) if below else 0.0
