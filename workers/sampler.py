"""Sampling beside the measurement: the host's load once a second, and how late our own loop runs."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from contract.catalog import Metric
from contract.rows import Sample
from workers.bench import Bench
from workers.host import Load, load_now

METRICS = (
    Metric(
        "host.cpu_busy", "cpus", "neither", "processors busy on the whole host since the last sample"
    ),
    Metric("host.mem_available", "bytes", "neither", "MemAvailable of the host"),
    Metric("host.psi_cpu_some", "percent", "neither", "tasks waiting for CPU, 10 s average"),
    Metric("host.psi_memory_full", "percent", "neither", "all tasks stalled on memory, 10 s average"),
    Metric("host.psi_io_full", "percent", "neither", "all tasks stalled on I/O, 10 s average"),
    Metric("harness.cpu", "cpus", "lower", "processors used by the worker since the last sample"),
    Metric("harness.lag_p99", "ns", "lower", "99th percentile of how late the worker's loop woke"),
)

_UNITS = {metric.name: metric.unit for metric in METRICS}
_LAG_STEP_S = 0.02


@dataclass(slots=True)
class Sampler:
    """Context manager around the measured section. Real time only."""

    bench: Bench
    period_s: float = 1.0
    lags_ns: list[int] = field(default_factory=list)
    cpu_share: float = 0.0
    """Processors that the worker used on average over the section."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _first: Load = field(default_factory=load_now)
    _begun_ns: int = 0

    async def __aenter__(self) -> Self:
        self._first, self._begun_ns = load_now(), self.bench.now()
        self._tasks = [asyncio.create_task(self._sample()), asyncio.create_task(self._measure_lag())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        passed_s = max(1e-9, (self.bench.now() - self._begun_ns) / 1e9)
        self.cpu_share = (load_now().worker_cpu_s - self._first.worker_cpu_s) / passed_s
        self._emit("harness.cpu", self.cpu_share)
        self._emit("harness.lag_p99", self.lag_p99_ns())

    def lag_p99_ns(self) -> int:
        """99th percentile of the loop's lateness; 0 when the section was too short to tell."""
        ordered = sorted(self.lags_ns)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0

    async def _sample(self) -> None:
        before, before_ns = self._first, self._begun_ns
        while True:
            await asyncio.sleep(self.period_s)
            now, now_ns = load_now(), self.bench.now()
            passed_s = (now_ns - before_ns) / 1e9
            self._emit("host.cpu_busy", (now.cpu_busy_s - before.cpu_busy_s) / passed_s)
            self._emit("host.mem_available", now.mem_available_bytes)
            self._emit("host.psi_cpu_some", now.psi_cpu_some_avg10)
            self._emit("host.psi_memory_full", now.psi_memory_full_avg10)
            self._emit("host.psi_io_full", now.psi_io_full_avg10)
            self._emit("harness.cpu", (now.worker_cpu_s - before.worker_cpu_s) / passed_s)
            before, before_ns = now, now_ns

    async def _measure_lag(self) -> None:
        due_ns = self.bench.now()
        while True:
            due_ns += round(_LAG_STEP_S * 1e9)
            await self.bench.sleep_until(due_ns)
            self.lags_ns.append(max(0, self.bench.now() - due_ns))
            due_ns = max(due_ns, self.bench.now() - round(_LAG_STEP_S * 1e9))

    def _emit(self, metric: str, value: float | None) -> None:
        self.bench.recorder.sample(Sample(self.bench.now(), metric, value, _UNITS[metric]))
