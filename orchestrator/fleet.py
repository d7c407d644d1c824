"""The fleet as the broker knows it: who is registered, who is alive, what they are doing."""

import json
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import redis

from contract import CONTRACT_VERSION, wire
from contract.errors import KeyFileError, MessageError, UseError
from contract.names import plain_name
from contract.signing import Keys, unseal
from contract.strict_json import read_json
from orchestrator.heard import MAX_BYTES, Activity, Beat, Quarantine, Registration, Skimmed, heard


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

    signs: bool = False
    """Whether it takes signed orders only, and signs what it says."""
    unbelieved: str = ""
    """Why a coordinator that has keys does not believe its registration; empty when it does."""
    readable: bool = True
    """Whether what it registered with is what workers say. If not, it is not alive either."""

    @property
    def state(self) -> str:
        """In one word; ``stale`` is registered without a heartbeat."""
        if not self.readable:
            return "unreadable"
        if not self.alive:
            return "stale"
        if self.contract != CONTRACT_VERSION:
            return "other version"
        if self.unbelieved:
            return "unsigned"
        if self.quarantine:
            return "quarantined"
        return "busy" if self.activity else "idle"

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {name: getattr(self, name) for name in _FIELDS} | {"state": self.state}

    @property
    def traits(self) -> dict[str, Any]:
        """Facts that campaigns select by: the host's own, and each engine's as ``docker.runtime``."""
        from contract.campaign import Scalar

        of_engines = {
            f"{driver}.{name}": value
            for driver, facts in self.engines.items()
            for name, value in facts.items()
            if isinstance(value, Scalar)
        }
        memory = self.facts.get("mem_bytes")
        sizes = {"mem_gib": memory / 2**30} if isinstance(memory, int | float) else {}
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


def read_fleet(
    client: "redis.Redis[bytes]", only: Sequence[str] | None = None, keys: Keys | None = None
) -> dict[str, HostEntry]:
    """Registered hosts by name, all of them or only some: two round trips, however many there are.

    With keys, each registration is compared with its signature.
    """
    return {entry.name: entry for entry in each_host(client, only, keys)}


def each_host(
    client: "redis.Redis[bytes]", only: Sequence[str] | None = None, keys: Keys | None = None
) -> Iterator[HostEntry]:
    """The same one by one in order of their names: for who needs no more than one at a time."""
    for name, text, said in _each(client, only):
        yield _entry(name, _opened(name, text, keys), said)


def read_states(client: "redis.Redis[bytes]") -> dict[str, str]:
    """Every registered host's state, in a word; twice as fast, since nothing else of it is read."""
    return {
        name: _entry(name, _opened(name, text, None, Skimmed), said).state
        for name, text, said in _each(client, None)
    }


def _each(
    client: "redis.Redis[bytes]", only: Sequence[str] | None
) -> Iterator[tuple[str, bytes, list[bytes | None]]]:
    """Name, registration, and heartbeat, activity and quarantine of each."""
    names = _registered(client, only)
    if not names:
        return
    pipe = client.pipeline(transaction=False)
    for key in (wire.registration_key, wire.heartbeat_key, wire.activity_key, wire.quarantine_key):
        pipe.mget([key(name) for name in names])
    texts, *others = pipe.execute()
    earlier = _earlier(client, [name for name, text in zip(names, texts, strict=True) if text is None])
    for name, text, *said in zip(names, texts, *others, strict=True):
        yield name, earlier[name] if text is None else text, said


def _earlier(client: "redis.Redis[bytes]", names: Sequence[str]) -> dict[str, bytes]:
    """What workers registered that write it beside their names, as earlier releases did: of version 0.

    Anybody's host may have written there, so it only serves to say in a campaign's words who is meant.
    """
    entries = client.hmget(wire.REGISTRY, list(names)) if names else []
    said = [heard(Registration, entry) or Registration() for entry in entries]
    return {
        name: msgspec.json.encode(msgspec.structs.replace(one, contract=0))
        for name, one in zip(names, said, strict=True)
    }


def _registered(client: "redis.Redis[bytes]", only: Sequence[str] | None) -> list[str]:
    if only is None:
        return sorted(name for key in client.hkeys(wire.REGISTRY) if (name := _name(key)) is not None)
    there = client.hmget(wire.REGISTRY, list(only)) if only else []
    return sorted(name for name, entry in zip(only, there, strict=True) if entry is not None)


def read_boots(client: "redis.Redis[bytes]", but: Container[str]) -> dict[str, str]:
    """The registered hosts that are alive, except some, each with its worker's boot id."""
    keys = map(_name, client.hkeys(wire.REGISTRY))
    names = [name for name in keys if name is not None and name not in but]
    boots = client.mget([wire.owner_key(name) for name in names]) if names else []
    return {
        name: boot.decode(errors="replace")
        for name, boot in zip(names, boots, strict=True)
        if boot is not None
    }


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
    client.delete(wire.registration_key(name))
    if not client.hdel(wire.REGISTRY, name):
        raise UseError(f"no host '{name}' is registered")


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a host registered with, and what is to be said of its signature."""

    said: Registration | None
    signs: bool = False
    unbelieved: str = ""


def _opened(
    name: str, text: bytes, keys: Keys | None, kind: type[Registration] = Registration
) -> _Opened:
    said = heard(kind, text)
    signs = said is not None and said.mac != ""
    inside, unbelieved = said.text if said is not None and signs else None, ""
    if keys is not None:
        try:
            inside = _unsealed(name, text, keys)
        except (MessageError, KeyFileError) as error:
            unbelieved = f"its registration is not believed: {error}"
    if said is not None and inside is not None and said.contract == CONTRACT_VERSION:
        said = heard(kind, inside.encode())
    return _Opened(said, signs, unbelieved)


def _unsealed(name: str, text: bytes, keys: Keys) -> str:
    """The text that the host's key was put to: this is believed, not what another reader finds."""
    outside: Any = None
    with suppress(ValueError):
        outside = read_json(text, MAX_BYTES)
    return unseal(keys.of(name), "registration", name, outside)


def read_activity(said: bytes | None) -> str:
    """Driver of the trial that a host is at; empty when it is at none."""
    activity = heard(Activity, said)
    return activity.driver if activity is not None else ""


def _entry(name: str, opened: _Opened, state: list[bytes | None]) -> HostEntry:
    said = opened.said or Registration()
    beat, activity, quarantine = state
    why = (heard(Quarantine, quarantine) or Quarantine()) if quarantine is not None else None
    return HostEntry(
        name=name,
        alive=beat is not None and opened.said is not None,
        labels=said.labels,
        contract=said.contract,
        boot=said.boot,
        engines=said.engines,
        facts=said.facts,
        versions=said.versions,
        beat=_plain(heard(Beat, beat)),
        activity=_plain(heard(Activity, activity)),
        quarantine=_plain(why),
        readable=opened.said is not None,
        signs=opened.signs,
        unbelieved=opened.unbelieved,
    )


def _plain(said: Beat | Activity | Quarantine | None) -> dict[str, Any]:
    return said.as_dict() if said is not None else {}


def _name(key: bytes) -> str | None:
    """The host's name; None for what no host can be called."""
    try:
        return plain_name(key.decode())
    except ValueError:
        return None
