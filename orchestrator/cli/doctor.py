"""What a host needs before it can measure, checked one by one."""

import os
import shutil
from dataclasses import asdict, dataclass
from typing import Any

from contract.errors import BrokerError, TonnageError
from workers.policy import load_policy
from workers.presence import probe_engine
from workers.settings import HostSettings

_REGISTRY_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def examine(host: HostSettings, broker: str | None) -> list[Finding]:
    """Look at everything that `tonnage worker` or `run --local` needs on this host."""
    from workers.discover import build_catalog

    found = [_state_folder(host), _rights(), *(_engine(name, host) for name in build_catalog().drivers)]
    found.append(_registry(host))
    if host.policy is not None:
        found.append(_policy(host))
    if broker:
        found.append(_broker(broker))
    return found


def _policy(host: HostSettings) -> Finding:
    try:
        rules = load_policy(host.policy).model_dump(exclude_defaults=True)
    except TonnageError as error:
        return Finding("policy", False, str(error))
    return Finding("policy", True, f"{host.policy}: {', '.join(rules) or 'no rule'}")


def _engine(name: str, host: HostSettings) -> Finding:
    engine = probe_engine(name, host)
    if not engine["present"]:
        return Finding(f"driver {name}", False, str(engine["reason"]))
    versions = [
        f"{k.removesuffix('_version')} {v}" for k, v in engine.items() if k.endswith("version") and v
    ]
    emulated = ["instances run on an emulated CPU: slow, and never compared with containers"]
    return Finding(f"driver {name}", True, "; ".join(versions + emulated * bool(engine.get("emulated"))))


def _registry(host: HostSettings) -> Finding:
    from workers.images.registry import Registry

    try:
        Registry(host.registry, _REGISTRY_DEADLINE_S).ping()
    except TonnageError as error:
        return Finding("registry", False, f"{error}; only the experiment 'deployment' needs one")
    return Finding("registry", True, host.registry)


def _state_folder(host: HostSettings) -> Finding:
    try:
        host.state_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(host.state_dir).free
    except OSError as error:
        text = f"{host.state_dir}: {error.strerror}; choose another with --state-dir"
        return Finding("state folder", False, text)
    writable = os.access(host.state_dir, os.W_OK)
    return Finding("state folder", writable, f"{host.state_dir}, {free / 2**30:.1f} GiB free")


def _rights() -> Finding:
    if os.geteuid() == 0:
        return Finding(
            "rights", True, "root: limits of bare processes and cold page caches are possible"
        )
    text = "not root: no limits for bare processes, no page_cold or image_cold trials"
    return Finding("rights", False, text)


def _broker(url: str) -> Finding:
    from contract.broker import IN_THE_CLEAR, connect, reach, without_password
    from contract.broker_urls import read_broker

    try:
        version = connect(url).info("server")["redis_version"]
        reach(url)
    except (BrokerError, TonnageError) as error:
        return Finding("broker", False, str(error))
    if open_ones := [end.shown for end in read_broker(url).endpoints if end.is_in_the_clear]:
        return Finding("broker", False, f"{', '.join(open_ones)}: {IN_THE_CLEAR}")
    return Finding("broker", True, f"{without_password(url)}, Redis {version}")
