"""The fleet as the broker knows it: who is registered, who is alive, what they are doing."""

import json
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, fields
from typing import Any

import redis

from contract import CONTRACT_VERSION, wire
from contract.campaign import Scalar
from contract.errors import UseError
from contract.json_text import loads


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One registered host."""

    name: str
    alive: bool
    labels: dict[str, str]
    contract: int
    boot: str
    engines: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    versions: dict[str, str]
    beat: dict[str, Any]
    activity: dict[str, Any]

    quarantine: dict[str, Any]
    """Why and since when no campaign uses it; empty when they may."""

    @property
    def state(self) -> str:
        """In one word; ``stale`` is registered without a heartbeat."""
        if not self.alive:
            return "stale"
        if self.contract != CONTRACT_VERSION:
            return "other version"
        if self.quarantine:
            return "quarantined"
        return "busy" if self.activity else "idle"

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {name: getattr(self, name) for name in _FIELDS} | {"state": self.state}

    @property
    def traits(self) -> dict[str, Any]:
        """Facts that campaigns select by: the host's own, and each engine's as ``docker.runtime``."""
        of_engines = {
            f"{driver}.{name}": value
            for driver, facts in self.engines.items()
            for name, value in facts.items()
            if isinstance(value, Scalar)
        }
        memory = self.facts.get("mem_bytes")
        sizes = {"mem_gib": memory / 2**30} if memory is not None else {}
        own = {name: value for name, value in self.facts.items() if isinstance(value, Scalar)}
        return own | sizes | of_engines

    def why_not(self, driver: str) -> str | None:
        """Why the host cannot run trials of a driver; None when it can."""
        engine = self.engines.get(driver)
        if engine is None:
            return f"host '{self.name}' does not know driver '{driver}'"
        if not engine.get("present"):
            return f"host '{self.name}' has no {driver}: {engine.get('reason', 'no reason given')}"
        return None


_FIELDS = tuple(field.name for field in fields(HostEntry))


def read_fleet(client: "redis.Redis[bytes]", only: Sequence[str] | None = None) -> dict[str, HostEntry]:
    """Registered hosts by name, all of them or only some: two round trips, however many there are."""
    known = _registered(client, only)
    names = sorted(known)
    if not names:
        return {}
    pipe = client.pipeline(transaction=False)
    for key in (wire.heartbeat_key, wire.activity_key, wire.quarantine_key):
        pipe.mget([key(name) for name in names])
    return {
        name: _entry(name, loads(known[name]), state)
        for name, *state in zip(names, *pipe.execute(), strict=True)
    }


def _registered(client: "redis.Redis[bytes]", only: Sequence[str] | None) -> dict[str, bytes]:
    if only is None:
        return {name.decode(): entry for name, entry in client.hgetall(wire.REGISTRY).items()}
    entries = client.hmget(wire.REGISTRY, list(only)) if only else []
    return {name: entry for name, entry in zip(only, entries, strict=True) if entry is not None}


def read_boots(client: "redis.Redis[bytes]", but: Container[str]) -> dict[str, str]:
    """The registered hosts that are alive, except some, each with its worker's boot id."""
    names = [name for key in client.hkeys(wire.REGISTRY) if (name := key.decode()) not in but]
    boots = client.mget([wire.owner_key(name) for name in names]) if names else []
    return {name: boot.decode() for name, boot in zip(names, boots, strict=True) if boot is not None}


def quarantine_host(client: "redis.Redis[bytes]", name: str, why: str) -> None:
    """Keep campaigns off a host until an operator releases it, or a day has passed."""
    said = json.dumps({"why": why, "since": time.time()})
    client.set(wire.quarantine_key(name), said, ex=wire.QUARANTINE_TTL_S)


def release_host(client: "redis.Redis[bytes]", name: str) -> None:
    """Let campaigns use a quarantined host again. Raises UseError when it is not in quarantine."""
    if not client.delete(wire.quarantine_key(name)):
        raise UseError(f"host '{name}' is not in quarantine")


def forget_host(client: "redis.Redis[bytes]", name: str) -> None:
    """Take a host that is gone for good off the list. Raises UseError when it is alive or unknown."""
    if client.exists(wire.heartbeat_key(name)):
        raise UseError(f"host '{name}' is alive: stop its worker first")
    if not client.hdel(wire.REGISTRY, name):
        raise UseError(f"no host '{name}' is registered")


def _entry(name: str, known: dict[str, Any], state: list[bytes | None]) -> HostEntry:
    beat, activity, quarantine = state
    return HostEntry(
        name=name,
        alive=beat is not None,
        labels=known.get("labels", {}),
        contract=known.get("contract", 0),
        boot=known.get("boot", ""),
        engines=known.get("engines", {}),
        facts=known.get("facts", {}),
        versions=known.get("versions", {}),
        beat=loads(beat) if beat else {},
        activity=loads(activity) if activity else {},
        quarantine=loads(quarantine) if quarantine else {},
    )
