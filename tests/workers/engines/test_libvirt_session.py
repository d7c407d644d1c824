"""Connections to libvirt, with its library played by a few lines."""

# ruff: noqa: N802, N815 - libvirt's own names

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from contract.errors import EngineAbsent, EngineError
from workers.engines import libvirt_session
from workers.engines.libvirt_session import (
    LibvirtSession,
    NoSuchDomain,
    NotRunning,
    in_our_words,
)


class Refusal(Exception):
    """Stands for libvirt.libvirtError."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self._code = code

    def get_error_code(self) -> int:
        return self._code

    def get_error_message(self) -> str:
        return "the daemon's words"


class Connection:
    def __init__(self) -> None:
        self.alive = True
        self.callback: Any = None
        self.opaque: Any = None
        self.reboot: Any = None

    def isAlive(self) -> bool:
        return self.alive

    def setKeepAlive(self, interval_s: int, count: int) -> None:
        raise Refusal(3)

    def domainEventRegisterAny(self, domain: None, kind: int, callback: Any, opaque: Any) -> int:
        if kind == Library.VIR_DOMAIN_EVENT_ID_REBOOT:
            self.reboot = callback
            return 6
        self.callback, self.opaque = callback, opaque
        return 5

    def domainEventDeregisterAny(self, number: int) -> None:
        assert number in (5, 6)
        if number == 5:
            self.callback = None

    def close(self) -> None:
        self.alive = False


class Domain:
    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    def UUIDString(self) -> str:
        return self._uuid


class Library(ModuleType):
    """Stands for the module ``libvirt``."""

    libvirtError = Refusal
    VIR_ERR_NO_DOMAIN = 42
    VIR_ERR_NO_DOMAIN_METADATA = 80
    VIR_ERR_OPERATION_INVALID = 55
    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_DOMAIN_EVENT_ID_REBOOT = 1
    VIR_DOMAIN_EVENT_STARTED = 2
    VIR_DOMAIN_EVENT_STOPPED = 5
    VIR_DOMAIN_EVENT_CRASHED = 8

    def __init__(self) -> None:
        super().__init__("libvirt")
        self.opened: list[Connection] = []
        self.reachable = True

    def virEventAddTimeout(self, after_ms: int, callback: Any, opaque: None) -> int:
        def fire() -> None:
            while not self.removed:
                callback(7, opaque)

        self.removed = False
        threading.Thread(target=fire).start()
        return 7

    def virEventRemoveTimeout(self, timer: int) -> None:
        assert timer == 7
        self.removed = True

    def open(self, uri: str) -> Connection:
        if not self.reachable:
            raise Refusal(38)
        self.opened.append(Connection())
        return self.opened[-1]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setitem(sys.modules, "libvirt", made)
    monkeypatch.setattr(libvirt_session, "_ensure_event_loop", lambda _: None)
    return made


def refuse(connection: Connection, code: int) -> None:
    raise Refusal(code)


def test_calls_in_a_row_share_one_connection(library: Library) -> None:
    session = LibvirtSession("qemu:///system")
    assert session.call(lambda connection: connection) is session.call(lambda connection: connection)
    assert len(library.opened) == 1
    session.close()
    assert not library.opened[0].alive


def test_no_two_calls_at_once_share_a_connection(library: Library) -> None:
    """The client library can be seconds late with answers of calls that share one."""
    session = LibvirtSession("qemu:///system")
    calls = 20
    together = threading.Barrier(calls)

    def wait(connection: Connection) -> Connection:
        together.wait(20)
        return connection

    with ThreadPoolExecutor(calls) as pool:
        used = list(pool.map(lambda _: session.call(wait), range(calls)))
    assert len({id(connection) for connection in used}) == calls
    session.call(lambda _: None)
    assert len(library.opened) == calls
    session.close()
    assert not any(connection.alive for connection in library.opened)


def test_a_connection_in_use_is_closed_when_its_call_ends(library: Library) -> None:
    session = LibvirtSession("qemu:///system")

    def close_meanwhile(connection: Connection) -> bool:
        session.close()
        return connection.alive

    assert session.call(close_meanwhile)
    assert not library.opened[0].alive


def test_a_broken_connection_is_replaced(library: Library) -> None:
    session = LibvirtSession("qemu:///system")

    def die(connection: Connection) -> None:
        connection.alive = False
        raise Refusal(1)

    with pytest.raises(EngineError):
        session.call(die)
    session.call(lambda connection: None)
    library.opened[1].alive = False  # between two calls
    session.call(lambda connection: None)
    assert len(library.opened) == 3


def test_errors_are_told_apart_by_code(library: Library) -> None:
    session = LibvirtSession("qemu:///system")
    for code, kind in ((42, NoSuchDomain), (80, NoSuchDomain), (55, NotRunning), (9, EngineError)):
        with pytest.raises(kind, match=rf"'refuse': the daemon's words \(code {code}\)") as caught:
            session.call(refuse, code)
        assert type(caught.value) is kind


def test_errors_inside_a_call_keep_their_kind(library: Library) -> None:
    def work(_: Connection) -> None:
        with in_our_words("look up"):
            raise Refusal(42)

    with pytest.raises(NoSuchDomain, match="'look up'"):
        LibvirtSession("qemu:///system").call(work)


def test_an_unreachable_daemon_says_how_to_start_it(library: Library) -> None:
    library.reachable = False
    session = LibvirtSession("qemu:///system")
    asks: list[Callable[[], None]] = [lambda: session.call(lambda _: None), session.listen]
    for ask in asks:
        with pytest.raises(EngineAbsent, match=r"qemu:///system cannot be reached.*systemctl start"):
            ask()


def test_a_missing_library_names_the_extra_and_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(EngineAbsent, match=r"libvirt-dev pkg-config.*tonnage\[libvirt\]"):
        LibvirtSession("qemu:///system").call(lambda connection: None)


def test_the_end_of_a_domain_is_heard_by_who_waits_for_it(library: Library) -> None:
    session = LibvirtSession("qemu:///system")
    session.listen()
    events = library.opened[0]

    async def work() -> None:
        with session.stopped("one") as one, session.stopped("two") as two:
            for uuid, event in (("one", 6), ("three", 5), ("one", 5), ("one", 5)):
                thread = threading.Thread(
                    target=events.callback, args=[events, Domain(uuid), event, 0, events.opaque]
                )
                thread.start()
                thread.join()
            await asyncio.wait_for(one, 20)
            assert not two.done()

    asyncio.run(work())
    events.callback(events, Domain("one"), 5, 0, events.opaque)  # nobody waits any more


def test_listening_goes_on_over_a_new_connection(library: Library) -> None:
    session = LibvirtSession("qemu:///system")
    session.listen()
    session.listen()
    assert len(library.opened) == 1
    library.opened[0].alive = False
    session.listen()
    assert len(library.opened) == 2
    session.close()
    assert library.opened[1].callback is None
    session.close()


def test_what_becomes_of_a_domain_is_told_to_who_listens(library: Library) -> None:
    async def work() -> list[str]:
        heard: list[str] = []
        session = LibvirtSession("qemu:///system")
        session.listen()
        stop = session.tell("one", heard.append)
        connection = library.opened[-1]
        for event in (library.VIR_DOMAIN_EVENT_STOPPED, library.VIR_DOMAIN_EVENT_STARTED):
            connection.callback(connection, Domain("one"), event, 0, connection.opaque)
            connection.callback(connection, Domain("other"), event, 0, connection.opaque)
        connection.reboot(connection, Domain("one"), None)
        await asyncio.sleep(0)
        stop()
        connection.reboot(connection, Domain("one"), None)
        await asyncio.sleep(0)
        session.close()
        return heard

    assert asyncio.run(work()) == ["ended", "started", "ended", "started"]
