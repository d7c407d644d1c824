"""Connections to one libvirt daemon: one per call in flight, one for events, all of this process alone.

No two calls share a connection. A thread that waits for its answer would read those of the others too,
and the client library (9.0.0) then misses some until its next keepalive: seconds later, as if a removal
had taken that long. A connection that broke is dropped, and the next call opens another, in less than a
millisecond: no domain object outlives its call, domains are looked up by UUID.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from contract.errors import EngineAbsent, EngineError
from workers.drivers.base import Hear

P = ParamSpec("P")
T = TypeVar("T")

_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_COUNT = 3
"""Unanswered ones after which a hung daemon counts as lost; no signal interrupts a call into it."""

_IDLE_MS = 1
_TURN_S = 1.0
"""Longest wait for the event loop, which is busy with callbacks of microseconds."""
_SYSTEMD_ADVICE = (
    "start it with 'systemctl start libvirtd', or without systemd 'virtlogd -d; libvirtd -d'"
)
_INSTALL_ADVICE = (
    "the libvirt client library is not installed: apt install libvirt-dev pkg-config gcc python3-dev, "
    "then pip install 'tonnage[libvirt]'"
)

_event_loop_lock = threading.Lock()
_event_loop_pid: int | None = None


class NoSuchDomain(EngineError):
    """libvirt knows no such domain, or nothing is stored under it."""


class NotRunning(EngineError):
    """The domain is not in a state for this: for our calls, it does not run."""


class LibvirtSession:
    """One process's way to one libvirt daemon. Methods block, unless they are coroutines."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._is_closed = False
        self._events: Any = None
        self._callbacks: list[int] = []
        self._stops: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = {}
        self._ears: dict[str, tuple[asyncio.AbstractEventLoop, Hear]] = {}

    def call(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` with a connection.

        Raises EngineAbsent when the daemon cannot be reached, NoSuchDomain, NotRunning, or EngineError
        with libvirt's words.
        """
        libvirt = _library()
        connection = self._take_idle() or _open(libvirt, self._uri)
        try:
            with in_our_words(function.__name__):
                return function(connection, *args, **kwargs)
        finally:
            self._give_back(connection)

    def listen(self) -> None:
        """Open the connection for events, or a new one when it broke. Raises EngineAbsent."""
        libvirt = _library()
        with self._lock:
            if self._events is not None and self._events.isAlive():
                return
            self._events = _open(libvirt, self._uri)
            register = self._events.domainEventRegisterAny
            self._callbacks = [
                register(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, libvirt),
                register(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._on_reboot, None),
            ]

    @contextmanager
    def stopped(self, uuid: str) -> Iterator["asyncio.Future[None]"]:
        """A future that is done once libvirt says that the domain has stopped."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._stops[uuid] = loop, future
        try:
            yield future
        finally:
            del self._stops[uuid]

    def tell(self, uuid: str, hear: Hear) -> Callable[[], None]:
        """Tell ``hear``, on the running loop, what becomes of a domain. Returns what ends that."""
        self._ears[uuid] = asyncio.get_running_loop(), hear
        return lambda: _forget(self._ears, uuid)

    def close(self) -> None:
        """Close all connections, those of calls in flight when these end. Domains go on."""
        with self._lock:
            self._is_closed = True
            connections, self._idle = self._idle, []
            if self._events is not None:
                # A callback keeps its connection open.
                for callback in self._callbacks:
                    _quietly(self._events.domainEventDeregisterAny, callback)
                connections.append(self._events)
                self._events = None
        for connection in connections:
            _quietly(connection.close)
        if connections:
            _turn_event_loop(_library())

    def _take_idle(self) -> Any:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.isAlive():
                    return connection
        return None

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        _quietly(connection.close)

    def _on_lifecycle(
        self, _connection: Any, domain: Any, event: int, _detail: int, libvirt: Any
    ) -> None:
        """Runs on libvirt's event thread, so it only passes the news on."""
        waiting = self._stops.get(domain.UUIDString())
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and waiting is not None:
            loop, future = waiting
            _quietly(loop.call_soon_threadsafe, _settle, future)
        if event in (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_CRASHED):
            self._say(domain, "ended")
        elif event == libvirt.VIR_DOMAIN_EVENT_STARTED:
            self._say(domain, "started")

    def _on_reboot(self, _connection: Any, domain: Any, _opaque: object) -> None:
        """A guest's reset: QEMU stays, and the guest in it has ended and begins again."""
        self._say(domain, "ended")
        self._say(domain, "started")

    def _say(self, domain: Any, word: Literal["ended", "started"]) -> None:
        ear = self._ears.get(domain.UUIDString())
        if ear is not None:
            loop, hear = ear
            _quietly(loop.call_soon_threadsafe, hear, word)


@contextmanager
def in_our_words(verb: str) -> Iterator[None]:
    """Turn libvirt's error into NoSuchDomain, NotRunning or EngineError, by its code."""
    libvirt = _library()
    try:
        yield
    except libvirt.libvirtError as error:
        raise _as_ours(libvirt, error, verb) from error


def _library() -> Any:
    """The client library, with its event loop running in this process. Raises EngineAbsent."""
    try:
        import libvirt  # noqa: TID251 - this module is how the libvirt driver speaks libvirt
    except ImportError as error:
        raise EngineAbsent(f"{_INSTALL_ADVICE} ({error})") from error
    _ensure_event_loop(libvirt)
    return libvirt


def _ensure_event_loop(libvirt: Any) -> None:
    """Without a running loop, keepalive would kill every connection. A fork does not inherit it."""
    global _event_loop_pid  # noqa: PLW0603 - libvirt has one event loop per process
    with _event_loop_lock:
        if _event_loop_pid == os.getpid():
            return
        libvirt.registerErrorHandler(_say_nothing, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(
            target=_run_event_loop, args=[libvirt], name="libvirt-events", daemon=True
        ).start()
        _event_loop_pid = os.getpid()


def _run_event_loop(libvirt: Any) -> None:
    while True:
        _quietly(libvirt.virEventRunDefaultImpl)


def _turn_event_loop(libvirt: Any) -> None:
    """Wait until the loop has been idle twice: only then does it let go of what was closed."""
    turned = threading.Event()
    rounds = iter(range(2))

    def turn(timer: int, _opaque: object) -> None:
        if next(rounds, None) is None:
            libvirt.virEventRemoveTimeout(timer)
            turned.set()

    libvirt.virEventAddTimeout(_IDLE_MS, turn, None)
    turned.wait(_TURN_S)


def _say_nothing(_context: object, _error: object) -> None:
    """In place of libvirt's own handler, which prints to stderr what is raised as well."""


def _open(libvirt: Any, uri: str) -> Any:
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise EngineAbsent(
            f"libvirt at {uri} cannot be reached ({error.get_error_message()}){_advice(uri)}"
        ) from error
    # Drivers that live in this process have nothing to keep alive and refuse.
    _quietly(connection.setKeepAlive, _KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT)
    return connection


def _advice(uri: str) -> str:
    """What to start, where a daemon of this host is behind a URI."""
    return f": {_SYSTEMD_ADVICE}" if uri.startswith(("qemu:", "lxc:")) else ""


def _as_ours(libvirt: Any, error: Any, verb: str) -> EngineError:
    code = error.get_error_code()
    text = f"libvirt refused '{verb}': {error.get_error_message()} (code {code})"
    if code in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        return NoSuchDomain(text)
    if code == libvirt.VIR_ERR_OPERATION_INVALID:
        return NotRunning(text)
    return EngineError(text)


def _quietly(function: Callable[..., object], *args: object) -> None:
    """Call what may fail without consequence: a connection or loop that is gone already."""
    try:
        function(*args)
    except Exception:
        return


def _forget(ears: dict[str, Any], uuid: str) -> None:
    ears.pop(uuid, None)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
