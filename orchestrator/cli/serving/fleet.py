"""The fleet as the broker has it, read by a thread while somebody looks: one reading for all pages."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

from contract.errors import TonnageError
from contract.signing import Keys
from orchestrator.cli.serving.live import Hub
from orchestrator.cli.views.fleet_view import FleetView, read_view

EVERY_S = 1.0
LOOKED_AT_S = 15.0
FRESH_S = 4.0
"""A reading that is older is not shown without a new one."""
KEYS_FOR_S = 10.0
"""Keys of hosts are read again after this: one may have been replaced."""

log = logging.getLogger(__name__)


class Fleet:
    """What pages ask about hosts. Without a broker there is nothing to know."""

    def __init__(self, broker: str | None, hub: Hub, keys: Path | None = None) -> None:
        self.broker, self._hub = broker, hub
        self._folder = keys
        self._keys: tuple[float, Keys] | None = None
        """The keys, and when they were read."""
        self._view = FleetView()
        self._asked_s = float("-inf")
        self._client: Any = None
        self._lock = threading.Lock()
        self._end, self._asked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fleet", daemon=True)

    def begin(self) -> None:
        """Start the thread, where there is a broker."""
        if self.broker is not None:
            self._thread.start()

    def end(self) -> None:
        """Stop it, and wait for that."""
        self._end.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(timeout=20)

    def view(self) -> FleetView:
        """The hosts as they were moments ago; read now when nobody looked for a while."""
        self._asked_s = time.monotonic()
        self._asked.set()
        if self.broker is not None and time.monotonic() - self._view.read_s > FRESH_S:
            self.refresh()
        return self._view

    def refresh(self) -> None:
        """Read the broker once."""
        with self._lock:
            if time.monotonic() - self._view.read_s < EVERY_S / 2:
                return
            before = self._view
            try:
                self._view = self._read()
            except TonnageError as error:
                self._client = None
                self._view = FleetView(problem=str(error), read_s=time.monotonic())
        if (before.hosts, before.problem) != (self._view.hosts, self._view.problem):
            self._hub.changed("fleet")

    def _read(self) -> FleetView:
        from contract.broker import broker_errors, connect

        assert self.broker is not None
        if self._client is None:
            self._client = connect(self.broker)
        with broker_errors(self.broker):
            return read_view(self._client, keys=self._known())

    def _known(self) -> Keys | None:
        """The keys as they were moments ago: a server outlives many of them. Raises KeyFileError."""
        if self._folder is None:
            return None
        read_s = time.monotonic()
        if self._keys is None or read_s - self._keys[0] > KEYS_FOR_S:
            self._keys = read_s, Keys(self._folder)
        return self._keys[1]

    def release(self, name: str) -> None:
        """Let campaigns use a quarantined host again. Raises UseError, BrokerError."""
        from contract.broker import broker_errors, connect
        from orchestrator.fleet import release_host

        assert self.broker is not None
        with broker_errors(self.broker):
            release_host(connect(self.broker), name)

    def _keep(self) -> None:
        while not self._end.is_set():
            looked_at = time.monotonic() - self._asked_s < LOOKED_AT_S or self._hub.listened("fleet")
            began = time.monotonic()
            if looked_at:
                self.refresh()
                # of a fleet that is slow to read no more than a third of the time is spent on it
                self._end.wait(max(EVERY_S, 2 * (time.monotonic() - began)))
            else:
                self._asked.wait(EVERY_S)
                self._asked.clear()
