"""The guard rails of a host while instances pile up on it: asked before every single start."""

from dataclasses import dataclass
from statistics import median

from workers.bench import Bench
from workers.experiments import stop_rules
from workers.experiments.stop_rules import Expected, Rails, Stop
from workers.gauge import Gauge

_FRESH_NS = 100_000_000
"""A reading this young is not taken anew: many starts together would each read the same."""

_SWAP_WINDOW_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rest:
    """The host at rest, with so many instances."""

    instances: int
    mem_used_bytes: float
    tasks: float


class Guard:
    """Reads the host, and says when to stop: also for what has been started and is not there yet.

    What an instance takes is learnt on the way: the more of average and latest cost. Before anything is
    known it is nothing, so the first instance is to be started alone.
    """

    def __init__(self, bench: Bench, rails: Rails) -> None:
        self._bench = bench
        self.rails = rails
        self.lowest_available_bytes: int | None = None
        """Least MemAvailable of all readings."""
        self.swap_in_bytes_per_s: float | None = None
        """Over the last second or more."""
        self._last: tuple[int, Gauge] | None = None
        self._earlier: tuple[int, Gauge] | None = None
        self._rests: list[Rest] = []
        self._started = 0

    async def read(self) -> Gauge:
        """The host now."""
        gauge = await self._bench.driver.gauge()
        now_ns = self._bench.now()
        if self._earlier is None:
            self._earlier = now_ns, gauge
        elif now_ns - self._earlier[0] >= _SWAP_WINDOW_NS:
            risen = gauge.swapped_in_bytes - self._earlier[1].swapped_in_bytes
            self.swap_in_bytes_per_s = risen / ((now_ns - self._earlier[0]) / 1e9)
            self._earlier = now_ns, gauge
        self._last = now_ns, gauge
        lowest = self.lowest_available_bytes
        available = gauge.mem_available_bytes
        self.lowest_available_bytes = available if lowest is None else min(lowest, available)
        return gauge

    def need(self, gauge: Gauge) -> Stop | None:
        """Whether the host is in need as it stands."""
        return (
            stop_rules.memory_floor(gauge, self.rails)
            or stop_rules.memory_pressure(gauge, self.rails)
            or stop_rules.swap(self.swap_in_bytes_per_s, self.rails)
        )

    async def before_start(self, under_way: int) -> Stop | None:
        """Whether ``under_way`` instances, of which one has yet to be started, still fit."""
        gauge = await self._fresh()
        if (stop := self.need(gauge)) is not None:
            return stop
        self._started += 1
        expected = self._expected(gauge, under_way)
        stop = stop_rules.memory_floor(gauge, self.rails, expected)
        return stop or stop_rules.pids(gauge, self.rails, expected)

    def rest(self, instances: int, readings: list[Gauge]) -> None:
        """The host has come to rest with so many instances: what they cost is known better now."""
        used = median(gauge.mem_used_bytes for gauge in readings)
        tasks = median(gauge.tasks for gauge in readings)
        self._rests.append(Rest(instances, used, tasks))
        self._started = 0

    @property
    def cost(self) -> Expected:
        """What one more instance is expected to take."""
        if not self._rests:
            return Expected()
        first, last = self._rests[0], self._rests[-1]
        earlier = [rest for rest in self._rests if rest.instances < last.instances]
        pairs = [(base, last) for base in (first, *earlier[-1:]) if base.instances < last.instances]
        memory = [(b.mem_used_bytes - a.mem_used_bytes) / (b.instances - a.instances) for a, b in pairs]
        tasks = [(b.tasks - a.tasks) / (b.instances - a.instances) for a, b in pairs]
        return Expected(max([0.0, *memory]), max([0.0, *tasks]))

    def _expected(self, gauge: Gauge, under_way: int) -> Expected:
        """What is still to come: by what is under way, or by what was started since the last rest."""
        cost, rest = self.cost, self._rests[-1] if self._rests else None
        memory, tasks = cost.memory_bytes * under_way, cost.pids * under_way
        if rest is not None:
            # An instance that is ready may still grow: count by its cost, not by what is seen of it.
            grown = rest.mem_used_bytes + cost.memory_bytes * (self._started + 1)
            memory = max(memory, grown - gauge.mem_used_bytes)
            tasks = max(tasks, rest.tasks + cost.pids * (self._started + 1) - gauge.tasks)
        return Expected(memory, tasks)

    async def _fresh(self) -> Gauge:
        if self._last is not None and self._bench.now() - self._last[0] < _FRESH_NS:
            return self._last[1]
        return await self.read()
