"""A worker's metrics, in the process that holds its presence: nothing of it runs where trials do."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

from contract.errors import UseError
from contract.exposition import Exposition, build, instruments
from contract.metric_names import WORKER_METRICS
from contract.observing import MetricsSettings
from contract.refusals import CAUSES
from workers.discover import build_catalog
from workers.events import count_into
from workers.presence import Presence
from workers.service import WorkerConfig
from workers.tally import Happening, Tally

log = logging.getLogger("tonnage.worker")

TEXTFILE_EVERY_S = 10.0
"""How often the file is written: with every fifth heartbeat."""


ONE_EACH = {
    "order_dropped": ("tonnage_orders_dropped_total", "reason"),
    "message_refused": ("tonnage_messages_refused_total", "cause"),
    "lease_lost": ("tonnage_leases_lost_total", ""),
    "part_delivered": ("tonnage_parts_delivered_total", "when"),
}
"""Events that count one, and the label that their field of the same name gives."""

FROM_THE_START = (
    ("tonnage_leases_lost_total", ()),
    *(("tonnage_messages_refused_total", (cause,)) for cause in CAUSES),
    ("tonnage_parts_delivered_total", ("at_once",)),
    ("tonnage_parts_delivered_total", ("late",)),
    ("tonnage_parts_delivered_bytes_total", ()),
)
"""Counters that begin at 0: Prometheus sees no rise in one that begins at 1."""


class WorkerMetrics:
    """Counts what the tally says; looks at everything else when asked, so per scrape."""

    def __init__(self, config: WorkerConfig, presence: Presence, tally: Tally) -> None:
        self.registry = CollectorRegistry()
        self._config, self._presence, self._tally = config, presence, tally
        self._owner = config.hosts[0].name
        catalog = build_catalog()
        self._known = {*catalog.experiments, *catalog.drivers}
        self._running: Happening | None = None
        self._cpu_s = 0.0
        self._lock = threading.Lock()
        self.registry.register(_Before(self.refresh))  # the first, so that the rest is fresh
        self._made = instruments(WORKER_METRICS, "host", self.registry)
        self._gauge("tonnage_worker_build_info", *build()).set(1)
        self._gauge("tonnage_worker_hosts").set(len(config.hosts))
        self._gauge("tonnage_worker_start_time_seconds").set(time.time())
        for name, labels in FROM_THE_START:
            self._counter(name, *labels)

    def refresh(self) -> None:
        """Bring everything up to date."""
        with self._lock:
            self._take()
            self._look_at_presence()
            self._look_at_trial()
            self._look_at_spools()

    def take(self) -> None:
        """Count what has happened since the last time: the tally stays short between scrapes."""
        with self._lock:
            self._take()

    def _take(self) -> None:
        try:
            happenings = self._tally.take()
        except OSError as error:
            log.warning("metrics: %s", error)
            return
        for happening in happenings:
            self._count(happening)

    def _count(self, found: Happening) -> None:
        event = str(found["event"])
        if event == "trial_begun":
            self._running = found
        elif event in ("trial_ended", "trial_cancelled"):
            self._end(found)
        elif event in ONE_EACH:
            name, label = ONE_EACH[event]
            self._counter(name, *([str(found[label])] if label else [])).inc()
        elif event == "leftovers_swept":
            swept = self._counter("tonnage_leftovers_swept_total", str(found["when"]))
            swept.inc(float(found["count"]))
        if event == "part_delivered":
            self._counter("tonnage_parts_delivered_bytes_total").inc(float(found["size_bytes"]))

    def _end(self, found: Happening) -> None:
        self._running = None
        self._counter("tonnage_harness_cpu_seconds_total", "measuring").inc(float(found["cpu_s"]))
        if found["event"] == "trial_cancelled":
            self._counter("tonnage_orders_dropped_total", "cancelled").inc()
            return
        what, outcome, verdict = self._what(found), str(found["outcome"]), str(found["verdict"])
        self._counter("tonnage_trials_total", *what, outcome, verdict).inc()
        self._histogram("tonnage_trial_duration_seconds", *what).observe(float(found["duration_s"]))

    def _what(self, found: Happening) -> tuple[str, str]:
        """Experiment and driver; a word that came in an order and means neither makes no series."""
        words = (str(found.get("experiment")), str(found.get("driver")))
        first, second = (word if word in self._known else "unknown" for word in words)
        return first, second

    def _look_at_presence(self) -> None:
        vitals = self._presence.vitals()
        self._gauge("tonnage_broker_up").set(vitals.broker_up)
        self._gauge("tonnage_heartbeat_age_seconds").set(vitals.age_s)
        if vitals.offset is not None:
            self._gauge("tonnage_clock_offset_seconds").set(vitals.offset[0] / 1e9)
            self._gauge("tonnage_clock_error_seconds").set(vitals.offset[1] / 1e9)
        cpu_s = time.process_time()
        self._counter("tonnage_harness_cpu_seconds_total", "presence").inc(cpu_s - self._cpu_s)
        self._cpu_s = cpu_s

    def _look_at_trial(self) -> None:
        running = self._running
        if running is not None and not psutil.pid_exists(int(running["pid"])):
            running = self._running = None  # it was killed with its trial
        gauge = self._made["tonnage_trial_running"]
        gauge.clear()
        self._gauge("tonnage_trial_running_seconds").set(
            max(0.0, time.time() - float(running["at"])) if running else 0
        )
        if running is not None:
            self._gauge("tonnage_trial_running", *self._what(running)).set(1)

    def _look_at_spools(self) -> None:
        parts = size_bytes = 0.0
        for host in () if self._config.simulated else self._config.hosts:
            try:
                sizes = _sizes(host.state_dir / "spool" / "waiting")
            except OSError as error:
                log.warning("metrics: %s", error)
                parts = size_bytes = math.nan
                break
            parts, size_bytes = parts + len(sizes), size_bytes + sum(sizes)
        self._gauge("tonnage_spool_waiting_parts").set(parts)
        self._gauge("tonnage_spool_waiting_bytes").set(size_bytes)

    def _counter(self, name: str, *labels: str) -> Counter:
        made = self._made[name].labels(self._owner, *labels)
        assert isinstance(made, Counter)
        return made

    def _gauge(self, name: str, *labels: str) -> Gauge:
        made = self._made[name].labels(self._owner, *labels)
        assert isinstance(made, Gauge)
        return made

    def _histogram(self, name: str, *labels: str) -> Histogram:
        made = self._made[name].labels(self._owner, *labels)
        assert isinstance(made, Histogram)
        return made


class _Before:
    """A collector without metrics of its own, asked before all others."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh

    def collect(self) -> Iterator[Metric]:
        self._refresh()
        yield from ()


def _sizes(folder: Path) -> list[int]:
    """Of the parts that wait there, bytes; without one that is delivered just now."""
    found: list[int] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".part"):
                with suppress(FileNotFoundError):
                    found.append(entry.stat().st_size)
    return found


@contextmanager
def metrics_shown(settings: MetricsSettings, config: WorkerConfig, presence: Presence) -> Iterator[None]:
    """Show the worker's metrics for as long as the block runs. Raises UseError before it begins."""
    assert config.tally is not None
    tally = Tally(config.tally)
    try:
        tally.begin()
    except OSError as error:
        raise UseError(f"--run-dir: {config.tally} cannot be written: {error.strerror}") from error
    metrics = WorkerMetrics(config, presence, tally)
    exposition = Exposition(settings, metrics.registry)
    written_at = 0.0

    def after_beat() -> None:
        nonlocal written_at
        metrics.take()
        if time.monotonic() - written_at > TEXTFILE_EVERY_S:
            written_at = time.monotonic()
            try:
                exposition.write()
            except UseError as error:
                log.warning("%s", error)

    count_into(config.tally)
    presence.after_beat = after_beat
    if exposition.url:
        log.info("metrics: %s", exposition.url)
    with exposition.shown():
        yield
