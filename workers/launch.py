"""Starting a worker: lock the host, take its name, register, then let Celery take messages."""

import os
import uuid
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from contract.broker import broker_errors
from contract.errors import BrokerError
from contract.signing import MAX_MESSAGE_AGE_S
from workers.host_lock import host_lock
from workers.policy import load_policy
from workers.presence import Presence, probe_engine, probe_engines
from workers.service import WorkerConfig
from workers.settings import HostSettings


@dataclass(frozen=True, slots=True)
class Belief:
    """Whose orders a worker believes (``WorkerConfig``)."""

    key: Path | None = None
    max_message_age_s: float = MAX_MESSAGE_AGE_S


def run_worker(broker: str, host: HostSettings, belief: Belief) -> None:
    """Be the worker of ``host`` until told to stop. Raises HostBusy, BrokerError, ResultsError.

    Raises PolicyRefused when its policy cannot be read, KeyFileError when its key cannot.
    """
    load_policy(host.policy)
    with host_lock(host.state_dir, f"worker '{host.name}'"):
        config = _config(broker, (host,), belief)
        _serve(config, probe_engines(host), ["--pool", "prefork", "--concurrency", "1"])


def run_simulated_workers(broker: str, base: HostSettings, numbers: range, belief: Belief) -> None:
    """Stand for simulated hosts, ``sim-0001`` and so on by their numbers, until stopped."""
    hosts = tuple(base.model_copy(update={"name": f"sim-{number:04d}"}) for number in numbers)
    config = _config(broker, hosts, belief).model_copy(update={"simulated": True})
    engines = {"simulated": probe_engine("simulated", base)}
    _serve(config, engines, ["--pool", "solo"])


def _config(broker: str, hosts: tuple[HostSettings, ...], belief: Belief) -> WorkerConfig:
    config = WorkerConfig(broker=broker, hosts=hosts, boot=uuid.uuid4().hex, **asdict(belief))
    config.keys()  # what is wrong with them is said before engines are looked at
    return config


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
