"""Starting a worker: lock the host, take its name, register, then let Celery take messages."""

import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract.broker import broker_errors
from contract.errors import BrokerError
from contract.observing import Observing
from workers.host_lock import host_lock
from workers.policy import load_policy
from workers.presence import Presence, probe_engine, probe_engines
from workers.service import WorkerConfig
from workers.settings import HostSettings

NOTHING_SHOWN = Observing()

EVENTS_EVERY_S = 10
"""How often a worker that tells Celery's events says that it is alive."""


def run_worker(broker: str, host: HostSettings, observing: Observing = NOTHING_SHOWN) -> None:
    """Be the worker of ``host`` until told to stop. Raises HostBusy, BrokerError, ResultsError.

    Raises PolicyRefused when its policy cannot be read, UseError when its metrics cannot be shown.
    """
    load_policy(host.policy)
    with host_lock(host.state_dir, f"worker '{host.name}'"):
        config = WorkerConfig(
            broker=broker, hosts=(host,), boot=uuid.uuid4().hex, **_seen(host, observing)
        )
        with _present(config, observing) as presence:
            pool = ["--pool", "prefork", "--concurrency", "1", *_events(observing)]
            _serve(config, presence, probe_engines(host), pool)


def run_simulated_workers(
    broker: str,
    base: HostSettings,
    count: int,
    first: int = 1,
    observing: Observing = NOTHING_SHOWN,
) -> None:
    """Stand for ``count`` simulated hosts, ``sim-0001`` onwards or from ``first``, until stopped."""
    numbers = range(first, first + count)
    hosts = tuple(base.model_copy(update={"name": f"sim-{number:04d}"}) for number in numbers)
    config = WorkerConfig(
        broker=broker,
        hosts=hosts,
        boot=uuid.uuid4().hex,
        simulated=True,
        **_seen(hosts[0], observing),
    )
    engines = {"simulated": probe_engine("simulated", base)}
    with _present(config, observing) as presence:
        _serve(config, presence, engines, ["--pool", "solo", *_events(observing)])


def _seen(host: HostSettings, observing: Observing) -> dict[str, Any]:
    """What the measuring process must know to log and to count."""
    tally = host.run_dir / f"tally-{host.name}.jsonl" if observing.metrics.wanted else None
    return {"log": observing.log.model_copy(update={"host": host.name}), "tally": tally}


def _events(observing: Observing) -> list[str]:
    """Celery's own events, for Flower, or none."""
    if observing.events:
        return ["--task-events", "--heartbeat-interval", str(EVENTS_EVERY_S)]
    return ["--without-heartbeat"]


@contextmanager
def _present(config: WorkerConfig, observing: Observing) -> Iterator[Presence]:
    """The worker's presence, with its metrics on show before it begins."""
    presence = Presence(config)
    if not observing.metrics.wanted:
        yield presence
        return
    from workers.metrics import metrics_shown

    with metrics_shown(observing.metrics, config, presence):
        yield presence


def _serve(
    config: WorkerConfig, presence: Presence, engines: dict[str, dict[str, object]], pool: list[str]
) -> None:
    """Register, then run Celery in this process; its child, if any, reads the same environment."""
    with broker_errors(config.broker):
        presence.begin(engines)
    os.environ["TONNAGE_WORKER_CONFIG"] = config.model_dump_json()
    from workers.app import SecurityWarning, app

    name = config.hosts[0].name
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # we take JSON only; root is said by doctor
            app.worker_main(["--quiet", "worker", "--hostname", f"tonnage.{name}@%h", *pool, *quiet])
    except OSError as error:
        raise BrokerError(f"the worker lost its broker: {error}") from error
    finally:
        presence.end()
