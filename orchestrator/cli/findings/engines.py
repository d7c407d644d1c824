"""The engines of a host, its registry and its operator's policy."""

from collections.abc import Iterator

from contract.errors import TonnageError
from orchestrator.cli.findings import Finding
from workers.discover import build_catalog
from workers.images.registry import Registry
from workers.policy import load_policy
from workers.presence import probe_engine
from workers.settings import HostSettings

_REGISTRY_DEADLINE_S = 10.0


def of_engines(host: HostSettings) -> Iterator[Finding]:
    """Every driver's engine, the registry, and the policy when there is one."""
    for name in build_catalog().drivers:
        yield _engine(name, host)
    yield _limits(host)
    yield _registry(host)
    if host.policy is not None:
        yield _policy(host)


def _engine(name: str, host: HostSettings) -> Finding:
    engine = probe_engine(name, host)
    if not engine["present"]:
        return Finding(f"driver {name}", False, str(engine["reason"]))
    versions = [
        f"{k.removesuffix('_version')} {v}" for k, v in engine.items() if k.endswith("version") and v
    ]
    emulated = ["instances run on an emulated CPU: slow, and never compared with containers"]
    return Finding(f"driver {name}", True, "; ".join(versions + emulated * bool(engine.get("emulated"))))


def _limits(host: HostSettings) -> Finding:
    obstacle = probe_engine("process", host).get("limits_obstacle")
    if obstacle is None:
        return Finding("limits", True, "bare processes can have limits")
    advice = "leave 'process' out of campaigns with limits, or run the worker as root"
    return Finding("limits", False, f"bare processes can have no limits: {obstacle}", advice)


def _registry(host: HostSettings) -> Finding:
    try:
        Registry(host.registry, _REGISTRY_DEADLINE_S).ping()
    except TonnageError as error:
        advice = "nothing, unless campaigns hold the experiments 'deployment' or 'rollout'"
        return Finding("registry", False, str(error), advice)
    return Finding("registry", True, host.registry)


def _policy(host: HostSettings) -> Finding:
    try:
        rules = load_policy(host.policy).model_dump(exclude_defaults=True)
    except TonnageError as error:
        return Finding("policy", False, str(error))
    return Finding("policy", True, f"{host.policy}: {', '.join(rules) or 'no rule'}")
