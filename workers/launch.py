"""Starting a worker: lock the host, take its name, register, then let Celery take messages."""

import os
import uuid
import warnings

from contract.broker import broker_errors
from contract.observing import Observing
from contract.errors import BrokerError
from workers.host_lock import host_lock
from workers.policy import load_policy
from workers.presence import Presence, probe_engine, probe_engines
from workers.service import WorkerConfig
from workers.settings import HostSettings


def run_worker(broker: str, host: HostSettings, observing: Observing = NOTHING) -> None:
    """Be the worker of ``host`` until told to stop. Raises HostBusy, BrokerError, ResultsError.

    Raises UseError when its metrics cannot be shown where ``observing`` says.

    Raises PolicyRefused when its policy cannot be read.
    """
    load_policy(host.policy)
    with host_lock(host.state_dir, f"worker '{host.name}'"):
        config = WorkerConfig(broker=broker, hosts=(host,), boot=uuid.uuid4().hex)
        with _observed(config, observing) as presence:
            pool = ["--pool", "prefork", "--concurrency", "1", *_events(observing)]
            _serve(presence, probe_engines(host), pool)


def run_simulated_workers(broker: str, base: HostSettings, count: int, first: int = 1) -> None:
    """Stand for ``count`` simulated hosts, ``sim-0001`` onwards or from ``first``, until stopped."""
    numbers = range(first, first + count)
    hosts = tuple(base.model_copy(update={"name": f"sim-{number:04d}"}) for number in numbers)
    config = WorkerConfig(broker=broker, hosts=hosts, boot=uuid.uuid4().hex, simulated=True)
    engines = {"simulated": probe_engine("simulated", base)}
    _serve(config, engines, ["--pool", "solo"])


def _serve(config: WorkerConfig, engines: dict[str, dict[str, object]], pool: list[str]) -> None:
    """Register, then run Celery in this process; its child, if any, reads the same environment."""
    presence = Presence(config)
    with broker_errors(config.broker):
        presence.begin(engines)
    os.environ["TONNAGE_WORKER_CONFIG"] = config.model_dump_json()
    from workers.app import SecurityWarning, app

    name = config.hosts[0].name
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # we take JSON only; root is said by doctor
            app.worker_main(["--quiet", "worker", "--hostname", f"tonnage.{name}@%h", *pool, *quiet])
    except OSError as error:
        raise BrokerError(f"the worker lost its broker: {error}") from error
    finally:
        presence.end()
