"""Starting a worker: lock the host, take its name, register, then let Celery take messages."""

import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from contract.broker import broker_errors, reach
from contract.errors import BrokerError
from contract.observing import Observing
from contract.signing import MAX_MESSAGE_AGE_S
from workers.host_lock import host_lock
from workers.policy import load_policy
from workers.presence import Presence, probe_engine, probe_engines
from workers.service import WorkerConfig
from workers.settings import HostSettings

NOTHING_SHOWN = Observing()

EVENTS_EVERY_S = 10
"""How often a worker that tells Celery's events says that it is alive."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Whose orders a worker believes (``WorkerConfig``)."""

    key: Path | None = None
    max_message_age_s: float = MAX_MESSAGE_AGE_S


def run_worker(
    broker: str, host: HostSettings, belief: Belief, observing: Observing = NOTHING_SHOWN
) -> None:
    """Be the worker of ``host`` until told to stop. Raises HostBusy, BrokerError, ResultsError.

    Raises PolicyRefused when its policy cannot be read, KeyFileError when its key cannot, UseError when
    its metrics cannot be shown.
    """
    load_policy(host.policy)
    with host_lock(host.state_dir, f"worker '{host.name}'", host.name):
        config = _config(broker, (host,), belief, observing)
        with _present(config, observing) as presence:
            pool = ["--pool", "prefork", "--concurrency", "1", *_events(observing)]
            _serve(config, presence, probe_engines(host), pool)


def run_simulated_workers(
    broker: str,
    base: HostSettings,
    numbers: range,
    belief: Belief,
    observing: Observing = NOTHING_SHOWN,
) -> None:
    """Stand for simulated hosts, ``sim-0001`` and so on by their numbers, until stopped."""
    hosts = tuple(base.model_copy(update={"name": f"sim-{number:04d}"}) for number in numbers)
    config = _config(broker, hosts, belief, observing).model_copy(update={"simulated": True})
    engines = {"simulated": probe_engine("simulated", base)}
    with _present(config, observing) as presence:
        _serve(config, presence, engines, ["--pool", "solo", *_events(observing)])


def _config(
    broker: str, hosts: tuple[HostSettings, ...], belief: Belief, observing: Observing
) -> WorkerConfig:
    """All that the measuring process must know, also to log and to count."""
    first = hosts[0]
    config = WorkerConfig(
        broker=broker,
        hosts=hosts,
        boot=uuid.uuid4().hex,
        **asdict(belief),
        log=observing.log.model_copy(update={"host": first.name}),
        tally=first.run_dir / f"tally-{first.name}.jsonl" if observing.metrics.wanted else None,
    )
    config.keys()  # what is wrong with them is said before engines are looked at
    return config


def _events(observing: Observing) -> list[str]:
    """Celery's own events, for Flower, or none."""
    if observing.events:
        return ["--task-events", "--heartbeat-interval", str(EVENTS_EVERY_S)]
    return ["--without-heartbeat"]


@contextmanager
def _present(config: WorkerConfig, observing: Observing) -> Iterator[Presence]:
    """The worker's presence, with its metrics on show before it begins."""
    reach(config.broker)
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
    from workers.app import SecurityWarning, run_celery

    name = config.hosts[0].name
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # we take JSON only; root is said by doctor
            told = run_celery(["--quiet", "worker", "--hostname", f"tonnage.{name}@%h", *pool, *quiet])
    except OSError as error:
        raise BrokerError(f"the worker lost its broker: {error}") from error
    finally:
        presence.end()
    if not told:
        raise BrokerError("the worker has ended over an error, which its log shows above")
