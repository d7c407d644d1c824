"""A coordinator's metrics: one campaign, as its loop tells it; a scrape asks nothing of the broker."""

import logging
import time
from collections import Counter as Count
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from contract.errors import UseError
from contract.exposition import Exposition, build, instruments
from contract.metric_names import COORDINATOR_METRICS
from contract.observing import MetricsSettings
from contract.trial import Receipt, Trial
from orchestrator.dispatch import HostState
from orchestrator.observer import Event, Observer

log = logging.getLogger("tonnage.coordinator")

TEXTFILE_EVERY_S = 10.0
"""How often the file is written, with the look at the hosts."""


class CoordinatorMetrics(Observer):
    """Counts by experiment and driver; hosts by state only, since there may be thousands."""

    def __init__(self, campaign: str) -> None:
        self.registry = CollectorRegistry()
        self._campaign = campaign
        self._made = instruments(COORDINATOR_METRICS, "campaign", self.registry)
        self._began = time.monotonic()
        self._left = self._ended = 0
        self._sick: set[str] = set()
        self._gauge("tonnage_coordinator_build_info", *build()).set(1)
        self._gauge("tonnage_campaign_start_time_seconds").set(time.time())
        for name in (
            "tonnage_campaign_parts_received_total",
            "tonnage_campaign_parts_received_bytes_total",
        ):
            self._counter(name)

    def planned(self, there: Sequence[Trial], missing: Sequence[Trial]) -> None:
        """More is to be had."""
        done = Count(map(_what, there))
        for what, count in (done + Count(map(_what, missing))).items():
            self._gauge("tonnage_campaign_trials_planned", *what).inc(count)
            self._gauge("tonnage_campaign_trials_done", *what).inc(done[what])
            for name in ("tonnage_campaign_trials_lost_total", "tonnage_campaign_trials_resent_total"):
                self._counter(name, *what)  # there from the start: a first loss is a rise from 0
        self._left += len(missing)

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """One trial more."""
        what = _what(trial)
        self._gauge("tonnage_campaign_trials_done", *what).inc()
        ended = (*what, receipt.outcome, receipt.verdict)
        self._counter("tonnage_campaign_trials_ended_total", *ended).inc()
        self._counter("tonnage_campaign_parts_received_total").inc()
        self._counter("tonnage_campaign_parts_received_bytes_total").inc(receipt.size_bytes)
        self._left -= 1
        self._ended += 1
        rate_s = (time.monotonic() - self._began) / self._ended
        self._gauge("tonnage_campaign_left_seconds").set(rate_s * self._left)

    def hosts(self, states: dict[str, HostState]) -> None:
        """By state."""
        words = Count(
            "quarantined" if name in self._sick else "alive" if state.alive else "away"
            for name, state in states.items()
        )
        for word in ("alive", "away", "quarantined"):
            self._gauge("tonnage_campaign_hosts", word).set(words[word])

    def backlog(self, records: int) -> None:
        """Not taken yet."""
        self._gauge("tonnage_campaign_stream_waiting").set(records)

    def lost(self, trial: Trial, *, again: bool) -> None:
        """Count it."""
        self._counter("tonnage_campaign_trials_lost_total", *_what(trial)).inc()
        if again:
            self._counter("tonnage_campaign_trials_resent_total", *_what(trial)).inc()

    def note(self, text: str, event: Event = "note", host: str = "") -> None:  # noqa: ARG002
        """A host in quarantine is told so only once."""
        if event == "host_quarantined":
            self._sick.add(host)

    def _counter(self, name: str, *labels: str) -> Counter:
        made = self._made[name].labels(self._campaign, *labels)
        assert isinstance(made, Counter)
        return made

    def _gauge(self, name: str, *labels: str) -> Gauge:
        made = self._made[name].labels(self._campaign, *labels)
        assert isinstance(made, Gauge)
        return made


class _Written(Observer):
    """Writes the file now and then."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._written_at = -TEXTFILE_EVERY_S

    def hosts(self, states: dict[str, HostState]) -> None:  # noqa: ARG002
        """Every few seconds, so as good a time as any."""
        if time.monotonic() - self._written_at > TEXTFILE_EVERY_S:
            self._written_at = time.monotonic()
            try:
                self._exposition.write()
            except UseError as error:  # a full disk there is no reason to end a campaign
                log.warning("%s", error)


def _what(trial: Trial) -> tuple[str, str]:
    return trial.experiment, trial.driver


@contextmanager
def metrics_shown(settings: MetricsSettings, campaign: str) -> Iterator[list[Observer]]:
    """Observers that show a campaign's metrics for as long as the block runs.

    Raises UseError when they cannot be shown where the settings say.
    """
    metrics = CoordinatorMetrics(campaign)
    exposition = Exposition(settings, metrics.registry)
    with exposition.shown():
        yield [metrics, _Written(exposition)]
