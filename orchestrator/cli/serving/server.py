"""The server process: one event loop, pages in threads, until it is asked to stop."""

import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from contract.errors import UseError
from orchestrator.cli.serving.app import make_app
from orchestrator.cli.serving.context import Serving
from orchestrator.cli.serving.live import Hub
from orchestrator.cli.serving.settings import ServeSettings

MOST_CONNECTIONS = 500
MOST_HEAD_BYTES = 65_536
"""Of a request's address and headers: a demand of many shapes stands in the address."""
LEAVE_S = 5
"""How long pages that are being answered may take after the server was asked to stop."""


class _Server(uvicorn.Server):
    """Ends the streams of events first, which would go on for ever."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self._hub.close()
        super().handle_exit(sig, frame)


def run_server(settings: ServeSettings, say: Callable[[str], object]) -> None:
    """Serve until interrupted; ``say`` is told where. Raises UseError when the address cannot be had."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    listening = _listen(settings)
    serving = Serving.of(settings)
    config = uvicorn.Config(
        make_app(serving),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        timeout_graceful_shutdown=LEAVE_S,
    )
    server = _Server(config, serving.hub)
    acting = "with the token, it can be acted on" if settings.token else "read-only: no --token"
    port = listening.getsockname()[1]
    said = ServeSettings(settings.address, port).url
    say(f"{said} shows {settings.results_root} ({acting}); Ctrl-C ends it")
    with listening:
        server.run(sockets=[listening])


def _listen(settings: ServeSettings) -> socket.socket:
    address = "127.0.0.1" if settings.address == "localhost" else settings.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, settings.port))
    except OSError as error:
        listening.close()
        raise UseError(
            f"--listen {address}:{settings.port}: cannot be had: {error.strerror}; choose another port, "
            "or an address of this machine"
        ) from error
    return listening
