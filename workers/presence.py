"""A worker's presence on the broker: name lease, registration with facts, heartbeat, late deliveries."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from contract import CONTRACT_VERSION, wire
from contract.broker import clock_offset, connect
from contract.errors import BrokerError, HostBusy, PartError, PartTooLarge, ResultsError, TonnageError
from contract.log_lines import stand_apart
from contract.parts import read_part
from contract.signing import seal
from workers import host as machine
from workers.delivery import Courier, receipt_of
from workers.discover import build_catalog, find_driver
from workers.events import tell
from workers.ownership import Owner
from workers.service import WorkerConfig
from workers.settings import HostSettings
from workers.spool import Spool

log = logging.getLogger("tonnage.worker")

LATE_DELIVERY_S = 10.0
"""A part that has waited this long in the spool was not delivered by the trial itself."""

CLOCK_EVERY_S = 30.0
"""How often the broker's clock is compared with ours, which takes eight round trips."""

BEATS_PER_S = 1000
"""Heartbeats of one worker: of thousands of simulated hosts each beats more rarely."""

TIDY_EVERY_S = 3600.0
"""How often spools are searched for parts that were delivered long ago."""


def probe_engines(host: HostSettings) -> dict[str, dict[str, Any]]:
    """For every driver: its facts, or why it cannot be used here."""
    return {name: probe_engine(name, host) for name in build_catalog().drivers}


def probe_engine(name: str, host: HostSettings) -> dict[str, Any]:
    """One driver's facts with ``present: True``, or ``present: False`` and the reason."""
    return asyncio.run(_probe(name, host))


async def _probe(name: str, host: HostSettings) -> dict[str, Any]:
    kind = find_driver(name)
    driver = kind(kind.Settings(), host, Owner(host.name, "probe", "0" * 32, 0, "probe"))
    try:
        await driver.open()
        facts = await driver.facts()
    except TonnageError as error:
        return {"present": False, "reason": str(error).removeprefix(f"{name}: ")}
    finally:
        await driver.close()
    return {"present": True, "version": facts.get(kind.version_fact)} | facts


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a worker's presence is doing."""

    broker_up: bool
    """Whether the last heartbeat reached the broker."""
    age_s: float
    """Since the last one that did."""
    offset: tuple[int, int] | None
    """The broker's clock minus ours, and its error, ns; None before they were compared."""


class Presence:
    """Keeps a worker's hosts registered and alive on the broker, from a thread of its own."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._names = [host.name for host in config.hosts]
        self._period_s = max(wire.HEARTBEAT_S, len(self._names) / BEATS_PER_S)
        self._ttl_s = max(wire.HEARTBEAT_TTL_S, round(5 * self._period_s))
        self._client = connect(config.broker)
        self._keys = config.keys()
        self._courier = Courier(self._client, self._keys)
        self._entries: dict[str, str] = {}
        self._tidied_at = -TIDY_EVERY_S
        self._offset: tuple[int, int] | None = None
        self._offset_at = 0.0
        self.after_beat: Callable[[], None] = lambda: None
        """Called by our thread after every heartbeat, whether it reached the broker or not."""
        self._beaten_at = time.monotonic()
        self._is_up = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="presence", daemon=True)

    def begin(self, engines: dict[str, dict[str, Any]]) -> None:
        """Take the names and register. Raises HostBusy when another worker has one of them."""
        self._take_names()
        self._client.hdel(wire.REGISTRY, *self._names)
        facts = machine.host_facts()
        since = time.time()
        for host in self._config.hosts:
            text = json.dumps(
                {
                    "name": host.name,
                    "contract": CONTRACT_VERSION,
                    "boot": self._config.boot,
                    "labels": host.labels,
                    "since": since,
                    "facts": facts,
                    "versions": machine.versions(),
                    "engines": engines,
                    "simulated": self._config.simulated,
                }
            )
            self._entries[host.name] = self._signed(host.name, text)
        self._say_whom_we_believe()
        self._beat()
        self._thread.start()
        present = ", ".join(name for name, engine in engines.items() if engine.get("present"))
        tell(
            "worker_registered",
            f"registered {self._names[0]}: {present or 'no engine'}",
            hosts=len(self._names),
        )

    def end(self) -> None:
        """Leave: the hosts stop being alive at once."""
        self._ended.set()
        self._thread.join(timeout=5)
        keys = [key(name) for name in self._names for key in (wire.heartbeat_key, wire.owner_key)]
        try:
            self._client.delete(*keys)
        except redis.RedisError as error:
            log.warning("leaving: %s", error)
        tell("worker_left", f"left: {self._names[0]}")

    def _signed(self, host: str, text: str) -> str:
        """A registration. That it is signed says that its host takes signed orders only."""
        key = self._keys.get(host)
        return text if key is None else json.dumps(seal(key, "registration", host, text))

    def _say_whom_we_believe(self) -> None:
        if not self._keys:
            log.warning("no --key: this worker believes everybody who can write to its broker")
            return
        some = ", ".join(f"{host} {key.fingerprint}" for host, key in list(self._keys.items())[:3])
        log.info("signed orders only; fingerprints of keys: %s", some)

    def _take_names(self) -> None:
        """Celery lets two workers share a name and its queue; we do not."""
        give_up = time.monotonic() + self._ttl_s + 2
        missing = self._names
        while True:
            pipe = self._client.pipeline(transaction=False)
            for name in self._names:
                key, boot = wire.owner_key(name), self._config.boot
                if name in missing:
                    pipe.set(key, boot, nx=True, ex=self._ttl_s)
                else:
                    pipe.expire(key, self._ttl_s)
            taken = pipe.execute()
            missing = [name for name, ours in zip(self._names, taken, strict=True) if not ours]
            if not missing:
                return
            if time.monotonic() > give_up:
                raise HostBusy(
                    f"another worker is host '{missing[0]}' on this broker; stop it, or choose "
                    "another --name"
                )
            time.sleep(0.5)

    def vitals(self) -> Vitals:
        """How it is now."""
        return Vitals(self._is_up, time.monotonic() - self._beaten_at, self._offset)

    def _beat_on(self) -> None:
        stand_apart()
        while not self._ended.wait(self._period_s):
            before = self._beaten_at
            try:
                self._beat()
                self._deliver_late()
                self._tidy()
            except (redis.RedisError, BrokerError, ResultsError, OSError) as error:
                self._is_up = self._beaten_at != before  # else it was something after it
                log.warning("heartbeat: %s", error)
            self.after_beat()

    def _beat(self) -> None:
        """One round trip: thousands of workers send one every two seconds."""
        load = machine.load_now()
        offset_ns, error_ns = self._clock_offset()
        beat = json.dumps(
            {
                "at": time.time(),
                "load1": load.load1,
                "mem_available_bytes": load.mem_available_bytes,
                "clock_offset_ns": offset_ns,
                "clock_error_ns": error_ns,
            }
        )
        pipe = self._client.pipeline(transaction=False)
        pipe.hexists(wire.REGISTRY, self._names[0])
        pipe.exists(wire.registration_key(self._names[0]))
        for name in self._names:
            pipe.set(wire.heartbeat_key(name), beat, ex=self._ttl_s)
            pipe.set(wire.owner_key(name), self._config.boot, ex=self._ttl_s)
        if not all(pipe.execute()[:2]):  # first beat, or a broker that came back empty
            self._register()
        self._is_up, self._beaten_at = True, time.monotonic()

    def _register(self) -> None:
        pipe = self._client.pipeline(transaction=False)
        for name, entry in self._entries.items():
            pipe.set(wire.registration_key(name), entry)
        pipe.hset(wire.REGISTRY, mapping=dict.fromkeys(self._entries, wire.REGISTERED))
        pipe.execute()

    def _clock_offset(self) -> tuple[int, int]:
        """For people to see: every trial compares the clocks for itself."""
        if self._offset is None or time.monotonic() - self._offset_at > CLOCK_EVERY_S:
            self._offset = clock_offset(self._client, time.time_ns)
            self._offset_at = time.monotonic()
        return self._offset

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at > TIDY_EVERY_S and not self._config.simulated:
            self._tidied_at = time.monotonic()
            for host in self._config.hosts:
                Spool(host.state_dir / "spool").forget_old()

    def _deliver_late(self) -> None:
        """Deliver what a broken broker kept from being delivered when it was measured."""
        for host in () if self._config.simulated else self._config.hosts:
            spool = Spool(host.state_dir / "spool")
            for path in spool.waiting():
                try:
                    if time.time() - path.stat().st_mtime < LATE_DELIVERY_S:
                        continue
                    data = path.read_bytes()
                    record = read_part(data).record
                except FileNotFoundError:  # its trial has delivered it meanwhile
                    continue
                except PartError as error:
                    log.error("spool: %s: %s", path.name, error)
                    path.rename(path.with_suffix(".damaged"))
                    continue
                receipt, place = receipt_of(data, record.attempt), spool.place_of(path.name)
                try:
                    self._courier.deliver(receipt, data, record.trial.campaign, place)
                except PartTooLarge:  # its campaign was told; it may name a place one day
                    continue
                spool.mark_delivered(path.name)
                what = f"trial {receipt.trial_id}: its part is delivered from the spool"
                tell("part_delivered", what, when="late", size_bytes=len(data))
