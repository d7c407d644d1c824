"""Showing metrics to Prometheus: one page over HTTP, or a file for node_exporter."""

import contextlib
import os
import platform
import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import make_wsgi_app

from contract import CONTRACT_VERSION
from contract.errors import UseError
from contract.metric_names import MetricName
from contract.observing import MetricsSettings, parse_address

PATIENCE_S = 5.0
"""A client that has not asked and got its answer after this long is cut off."""

Instrument = Counter | Gauge | Histogram


class _Server(WSGIServer):
    """One scrape at a time: what measures beside us is not to be disturbed by many."""

    request_queue_size = 5

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # the library would ask the name service who we are
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no matter."""


class _Silent(WSGIRequestHandler):
    patience_s = PATIENCE_S

    def handle(self) -> None:
        """Cut off whoever takes too long in all, however busily: the next one waits behind it."""
        cut = threading.Timer(self.patience_s, self._cut_off)
        cut.daemon = True
        cut.start()
        try:
            super().handle()
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """A scrape every few seconds is no news."""


class Exposition:
    """A registry on show. The server's thread sleeps until somebody asks: it has no timer.

    Raises UseError when the address cannot be listened on, or the file cannot be written, before
    anything is measured.
    """

    def __init__(self, settings: MetricsSettings, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._textfile = settings.textfile
        self._ended = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._server: _Server | None = None
        if settings.address:
            self._server = _listen(settings.address)
            page = make_wsgi_app(registry)

            def one_at_a_time(environ: Any, start: Any) -> Any:
                with self._one_at_a_time:
                    return page(environ, start)

            self._server.set_app(one_at_a_time)
        self.write()

    @property
    def url(self) -> str:
        """Where the page is; empty without a server."""
        if self._server is None:
            return ""
        host = self._server.server_name
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.server_port}/metrics"

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Answer scrapes for as long as the block runs; what the file says at last stays."""
        thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._wake()
            thread.join(timeout=PATIENCE_S)
            if self._server is not None:
                self._server.server_close()
            with contextlib.suppress(UseError):
                self.write()

    def write(self) -> None:
        """Write the file anew, whole or not at all. Raises UseError when it cannot be."""
        if self._textfile is None:
            return
        beside = self._textfile.with_name(f".{self._textfile.name}.{os.getpid()}")
        try:
            with self._one_at_a_time:
                page = generate_latest(self._registry)
            beside.write_bytes(page)
            beside.chmod(0o644)  # node_exporter is another user
            beside.replace(self._textfile)
        except OSError as error:
            raise UseError(
                f"--metrics-textfile: {self._textfile} cannot be written: {error.strerror}; name a "
                "file in node_exporter's textfile directory, which this user may write to"
            ) from error

    def _serve(self) -> None:
        while self._server is not None and not self._ended.is_set():
            self._server.handle_request()

    def _wake(self) -> None:
        """The thread waits for a connection: give it one."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                family, address = self._server.address_family, self._server.server_address
                with socket.socket(family) as call:
                    call.settimeout(PATIENCE_S)
                    call.connect(address)


def _listen(text: str) -> _Server:
    host, port = parse_address(text)

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return Server((host, port), _Silent)
    except OSError as error:
        raise UseError(
            f"--metrics: {text} cannot be listened on: {error.strerror or error}; choose another "
            "port, or an address of this machine"
        ) from error


def instruments(
    names: tuple[MetricName, ...], owner: str, registry: CollectorRegistry
) -> dict[str, Instrument]:
    """Counters, gauges and histograms as they are declared, with ``owner`` as their first label."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    made: dict[str, Instrument] = {}
    for declared in names:
        labels = (owner, *declared.labels)
        if declared.kind == "histogram":
            made[declared.name] = Histogram(
                declared.name, declared.meaning, labels, registry=registry, buckets=declared.buckets
            )
        else:
            kind = Counter if declared.kind == "counter" else Gauge
            made[declared.name] = kind(declared.name, declared.meaning, labels, registry=registry)
    return made


def build() -> tuple[str, str, str]:
    """Values of the labels of ``…_build_info``."""
    return version("tonnage"), str(CONTRACT_VERSION), platform.python_version()
