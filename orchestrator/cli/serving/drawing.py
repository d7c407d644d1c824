"""The thread that reads parts and draws what was measured, for campaigns that somebody looks at."""

import logging
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from contract.errors import TonnageError
from orchestrator.cli.serving.live import Hub
from orchestrator.cli.serving.measured import Measured
from orchestrator.cli.serving.pictures import Gallery, warm_up
from orchestrator.cli.serving.shelf import Shelf

EVERY_S = 0.5
DRAWN_EVERY_S = 4.0
"""An experiment's pictures are drawn no more often."""
PARTS_AT_ONCE = 100
MOST_KEPT = 12
LOOKED_AT_S = 20.0
"""After this without a request and without a listener nobody looks any more."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Drawing:
    measured: Measured = field(default_factory=Measured)
    galleries: dict[str, Gallery] = field(default_factory=dict)
    """By experiment."""
    asked_s: float = 0.0
    drawn_s: dict[str, float] = field(default_factory=dict)
    owed: set[str] | None = None
    """What had to be drawn when all parts had been read for the first time; None before."""
    done: bool = False
    """Whether what was there then has been drawn, or there is nothing to draw."""

    def due(self) -> str | None:
        """The experiment that waits longest to be drawn; None while none may be.

        Until all parts have been read each is drawn once: the next time it shall be worth it.
        """
        now, changed = time.monotonic(), sorted(self.measured.changed)
        if self.owed is None:
            changed = [name for name in changed if name not in self.drawn_s]
        waiting = {name: self.drawn_s.get(name, -math.inf) for name in changed}
        name = min(waiting, key=waiting.__getitem__, default=None)
        return name if name is not None and now - waiting[name] >= DRAWN_EVERY_S else None


class Drawings:
    """Pictures by campaign's folder, as far as they have been drawn."""

    def __init__(self, shelf: Shelf, hub: Hub) -> None:
        self._shelf, self._hub = shelf, hub
        self._kept: OrderedDict[str, _Drawing] = OrderedDict()
        self._lock = threading.Lock()
        self._end, self._asked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="drawings", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Stop it, and wait for that."""
        self._end.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def galleries(self, name: str) -> tuple[list[Gallery], bool]:
        """What has been drawn of a campaign, and whether that is all; the thread goes on from there."""
        with self._lock:
            kept = self._kept.pop(name, None) or _Drawing()
            self._kept[name] = kept
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            kept.asked_s = time.monotonic()
            found = [one for _, one in sorted(kept.galleries.items())]
        self._asked.set()
        return found, kept.done

    def refresh(self) -> bool:
        """Read and draw a little of every campaign that is looked at; whether there is more to do."""
        with self._lock:
            kept = list(self._kept.items())
        more = False
        for name, drawing in kept:
            looked_at = time.monotonic() - drawing.asked_s < LOOKED_AT_S
            if looked_at or self._hub.listened(f"campaign:{name}"):
                try:
                    more |= self._go_on(name, drawing)
                except TonnageError as error:
                    log.warning("%s cannot be drawn: %s", name, error)
                    drawing.done = True
        return more

    def _go_on(self, name: str, drawing: _Drawing) -> bool:
        """Read some parts, and draw one experiment; whether there is more to do right away."""
        reader = self._shelf.reader(name)
        if drawing.measured.is_stale(reader):
            drawing.measured = Measured()
        more = drawing.measured.take(reader, PARTS_AT_ONCE)
        if not more:
            self._settle(drawing)
        if (experiment := drawing.due()) is not None:
            found = drawing.measured.draw(experiment, self._end.wait)
            with self._lock:
                drawing.galleries[experiment] = found
            drawing.drawn_s[experiment] = time.monotonic()
            drawing.owed = drawing.owed and drawing.owed - {experiment}
            self._hub.changed(f"campaign:{name}")
        drawing.done |= drawing.owed is not None and not drawing.owed
        return more or drawing.due() is not None

    def _settle(self, drawing: _Drawing) -> None:
        """All parts have been read: what is left to draw, and what is no longer there."""
        if drawing.owed is None:
            drawing.owed = set(drawing.measured.changed)
        with self._lock:
            for gone in drawing.galleries.keys() - drawing.measured.experiments.keys():
                del drawing.galleries[gone]

    def _keep(self) -> None:
        warm_up()
        while not self._end.is_set():
            more = self.refresh()
            if not more:
                self._asked.wait(EVERY_S)
                self._asked.clear()
