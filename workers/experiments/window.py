"""What is measured at one step of a staircase: settling, the sampling window, footprints, probes."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

from contract.catalog import Metric
from contract.rows import Sample
from workers.bench import Bench
from workers.experiments.guard import Guard
from workers.experiments.held import Crowd, Held
from workers.experiments.limiting import Level
from workers.experiments.settling import Reading, is_settled
from workers.experiments.stop_rules import Stop
from workers.gauge import Gauge
from workers.prober import Prober, Slot

LOOKS_PER_WINDOW = 10
"""Readings of memory in use per sampling window, and per settle window."""
_WATCH_S = 1.0
_ANSWER_DEADLINE_S = 5.0
"""How long after the last planned probe an answer still counts."""
_ANSWER_POLL_S = 0.05

METRICS = (
    Metric("density.instances", "1", "neither", "instances running at the step"),
    Metric("density.direction", "1", "neither", "1 for a step up, −1 for a step down"),
    Metric("density.asked", "1", "neither", "starts that were tried for the step"),
    Metric(
        "density.start_failures", "1", "lower", "of them, those that did not become ready, and deaths"
    ),
    Metric("density.settle", "ns", "lower", "from the last start until memory in use was steady"),
    Metric("density.mem_used", "bytes", "lower", "MemTotal − MemAvailable of the host"),
    Metric("density.pss", "bytes", "lower", "proportional set size of all processes of the host"),
    Metric("density.instances_pss", "bytes", "lower", "of the instances' own processes alone"),
    Metric("density.instances_cgroup", "bytes", "lower", "charged to the instances' control groups"),
    Metric("density.cpu_busy", "cpus", "lower", "processors busy on the whole host"),
    Metric("density.psi_cpu_some", "percent", "lower", "tasks waiting for CPU, 10 s average"),
    Metric("density.psi_memory_some", "percent", "lower", "tasks waiting for memory, 10 s average"),
    Metric("density.psi_memory_full", "percent", "lower", "all tasks waiting for memory, 10 s average"),
    Metric("density.swap_in", "bytes/s", "lower", "read back from swap over the window"),
    Metric(
        "density.probe", "ns", "lower", "a planned probe's answer, from its planned moment; null: lost"
    ),
)
_UNITS = {metric.name: metric.unit for metric in METRICS}


class Window:
    """Measures the steps of one staircase, and notes all of it. Ends early when the host is in need."""

    def __init__(self, bench: Bench, guard: Guard, crowd: Crowd) -> None:
        self.step = 0
        self.unsettled = 0
        """Steps whose memory was not steady by their deadline."""
        self.hidden = 0
        """Processes whose memory could not be looked at."""
        self._bench, self._guard, self._crowd = bench, guard, crowd
        self._params: Any = bench.params

    def note(self, metric: str, value: float | None, instance: int | None = None) -> None:
        """One observation of this step."""
        name = f"density.{metric}"
        now_ns = self._bench.now()
        self._bench.recorder.sample(Sample(now_ns, name, value, _UNITS[name], instance, self.step))

    def note_height(self, direction: int) -> None:
        """How many instances run at this step, and whether it is one up (1) or down (−1)."""
        self.note("instances", len(self._crowd.ready))
        self.note("direction", direction)

    async def settle(self) -> Stop | None:
        """Wait until memory in use is steady, or the deadline of that, and note how long it took."""
        begun_ns = self._bench.now()
        settled = await self._rest(begun_ns + round(self._params.settle_deadline_s * 1e9))
        if isinstance(settled, Stop):
            return settled
        self.unsettled += not settled
        self.note("settle", self._bench.now() - begun_ns if settled else None)
        return None

    async def try_first(self) -> Stop | None:
        """Let the host settle with the first instance alone, to know what one of them takes."""
        settled = await self._rest(self._bench.now() + round(self._params.settle_deadline_s * 1e9))
        if isinstance(settled, Stop):
            return settled
        self._guard.rest(len(self._crowd.ready), [await self._guard.read()])
        return None

    async def _rest(self, give_up_ns: int) -> bool | Stop:
        """Whether memory in use became steady before ``give_up_ns``."""
        window_ns = round(self._params.settle_window_s * 1e9)
        readings: list[Reading] = []
        while not is_settled(readings, window_ns, self._params.settle_slope):
            if self._bench.now() >= give_up_ns:
                return False
            if readings:
                await asyncio.sleep(self._params.settle_window_s / LOOKS_PER_WINDOW)
            gauge = await self._guard.read()
            if (stop := self._guard.need(gauge)) is not None:
                return stop
            readings.append((self._bench.now(), gauge.mem_used_bytes))
        return True

    async def sample(self) -> Level | Stop:
        """The sampling window: memory and processors several times, pressure and swap over all of it."""
        ready = len(self._crowd.ready)
        pause_s = self._params.sample_s / LOOKS_PER_WINDOW
        gauges = [await self._guard.read()]
        times = [self._bench.now()]
        busy = []
        for _ in range(LOOKS_PER_WINDOW):
            await asyncio.sleep(pause_s)
            gauges.append(await self._guard.read())
            if (stop := self._guard.need(gauges[-1])) is not None:
                return stop
            times.append(self._bench.now())
            self.note("mem_used", gauges[-1].mem_used_bytes)
            busy.append(_cpus_busy(gauges[-2:], times[-2:]))
            self.note("cpu_busy", busy[-1])
        self._note_pressure(gauges[0], gauges[-1], times[-1] - times[0])
        self._guard.rest(ready, gauges)
        used = median(gauge.mem_used_bytes for gauge in gauges)
        return Level(ready, used, median(busy), median(gauge.tasks for gauge in gauges))

    async def footprint(self) -> None:
        """What processes and control groups hold. Reads many small files, so nothing is timed beside."""
        everything = await self._bench.driver.host_pss()
        self.hidden = everything.hidden
        self.note("pss", everything.pss_bytes)
        ready = self._crowd.ready
        if not ready:
            return
        held = await self._bench.driver.footprint([one.instance for one in ready])
        self.note("instances_pss", held.pss_bytes)
        self.note("instances_cgroup", held.cgroup_bytes)

    async def probe(self, chosen: Sequence[Held]) -> list[int | None] | Stop:
        """Probe these instances by open loop. Returns all latencies, ns; None for a lost one."""
        for held in chosen:
            if held.requests is not None:
                await held.requests.pause()
        probers = [self._prober(held) for held in chosen]
        async with AsyncExitStack() as stack:
            for prober in probers:
                await stack.enter_async_context(prober)
            end_ns = self._bench.now() + round(self._params.probe_s * 1e9)
            stop = await self._until(end_ns)
            await self._await_answers(probers, end_ns)
        for held in chosen:
            if held.requests is not None and not held.is_dead:
                held.requests.resume()
        latencies = []
        for held, prober in zip(chosen, probers, strict=True):
            for slot in _due(prober, end_ns):
                latencies.append(slot.latency_ns)
                self.note("probe", slot.latency_ns, held.running.row.instance)
        return latencies if stop is None else stop

    def choose(self) -> list[Held]:
        """A random share of the instances that live, one at least."""
        ready, params = self._crowd.ready, self._params
        if not ready:
            return []
        many = max(1, min(round(params.probe_share * len(ready)), params.probe_most, len(ready)))
        return self._bench.rng.sample(ready, many)

    def _prober(self, held: Held) -> Prober:
        # A ticket of its own: a late answer to an earlier step's probe is none to this one's.
        salt = f"{self._bench.rng.getrandbits(32):08x}"
        ticket = f"{held.instance.spec.nonce}-{salt}"
        prober = Prober(self._bench, ticket, self._params.probe_rate_per_s)
        prober.use(held.running.console)
        return prober

    async def _until(self, end_ns: int) -> Stop | None:
        while (left_s := (end_ns - self._bench.now()) / 1e9) > 0:
            await asyncio.sleep(min(_WATCH_S, left_s))
            if (stop := self._guard.need(await self._guard.read())) is not None:
                return stop
        return None

    async def _await_answers(self, probers: Sequence[Prober], end_ns: int) -> None:
        """Until every probe is answered, or too late."""
        give_up_ns = self._bench.now() + round(_ANSWER_DEADLINE_S * 1e9)
        while self._bench.now() < give_up_ns:
            due = [slot for prober in probers for slot in _due(prober, end_ns)]
            if all(slot.t_answered is not None for slot in due):
                return
            await asyncio.sleep(_ANSWER_POLL_S)

    def _note_pressure(self, first: Gauge, last: Gauge, passed_ns: int) -> None:
        self.note("psi_cpu_some", last.psi_cpu_some)
        self.note("psi_memory_some", last.psi_memory_some)
        self.note("psi_memory_full", last.psi_memory_full)
        self.note("swap_in", (last.swapped_in_bytes - first.swapped_in_bytes) / (passed_ns / 1e9))


def _cpus_busy(gauges: Sequence[Gauge], times_ns: Sequence[int]) -> float:
    return (gauges[1].cpu_busy_s - gauges[0].cpu_busy_s) / ((times_ns[1] - times_ns[0]) / 1e9)


def _due(prober: Prober, end_ns: int) -> list[Slot]:
    """Those that were planned for the window; the prober goes on a little longer."""
    return [slot for slot in prober.slots if slot.t_due < end_ns]
