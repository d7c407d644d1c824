"""The fleet as the broker knows it: who is registered, who is alive, what they are doing."""

import json
from dataclasses import dataclass
from typing import Any

import redis

from contract import CONTRACT_VERSION, wire
from contract.errors import UseError


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One registered host."""

    name: str
    alive: bool
    labels: dict[str, str]
    contract: int
    engines: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    versions: dict[str, str]
    beat: dict[str, Any]
    activity: dict[str, Any]

    @property
    def state(self) -> str:
        """``busy``, ``idle``, ``stale`` (registered, no heartbeat) or ``other version``."""
        if not self.alive:
            return "stale"
        if self.contract != CONTRACT_VERSION:
            return "other version"
        return "busy" if self.activity else "idle"

    def why_not(self, driver: str) -> str | None:
        """Why the host cannot run trials of a driver; None when it can."""
        engine = self.engines.get(driver)
        if engine is None:
            return f"host '{self.name}' does not know driver '{driver}'"
        if not engine.get("present"):
            return f"host '{self.name}' has no {driver}: {engine.get('reason', 'no reason given')}"
        return None


def read_fleet(client: "redis.Redis[bytes]") -> dict[str, HostEntry]:
    """All registered hosts by name: three round trips, however many there are."""
    registered = client.hgetall(wire.REGISTRY)
    names = sorted(name.decode() for name in registered)
    if not names:
        return {}
    beats = client.mget([wire.heartbeat_key(name) for name in names])
    activities = client.mget([wire.activity_key(name) for name in names])
    return {
        name: _entry(name, json.loads(registered[name.encode()]), beat, activity)
        for name, beat, activity in zip(names, beats, activities, strict=True)
    }


def forget_host(client: "redis.Redis[bytes]", name: str) -> None:
    """Take a host that is gone for good off the list. Raises UseError when it is alive or unknown."""
    if client.exists(wire.heartbeat_key(name)):
        raise UseError(f"host '{name}' is alive: stop its worker first")
    if not client.hdel(wire.REGISTRY, name):
        raise UseError(f"no host '{name}' is registered")


def _entry(name: str, known: dict[str, Any], beat: bytes | None, activity: bytes | None) -> HostEntry:
    return HostEntry(
        name=name,
        alive=beat is not None,
        labels=known.get("labels", {}),
        contract=known.get("contract", 0),
        engines=known.get("engines", {}),
        facts=known.get("facts", {}),
        versions=known.get("versions", {}),
        beat=json.loads(beat) if beat else {},
        activity=json.loads(activity) if activity else {},
    )
