"""What there is to see of a campaign at one moment: read out of its folder, and from the broker."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import BrokerError
from orchestrator.cli.uncollected import uncollected
from orchestrator.cli.views.fleet_view import FleetView, read_view
from orchestrator.cli.views.reading import CampaignReader, Ended, Share
from orchestrator.outline import PlannedTrial
from orchestrator.sign_of_life import Coordinator, SignReader
from orchestrator.standing import Standing

if TYPE_CHECKING:
    from orchestrator.cli.views.ready_times import PartsSeen

MOST_RECENT = 40
READS_PARTS_S = 0.5
"""So long at a time parts are read, at most; the next reading takes the next ones."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A campaign at one moment."""

    standing: Standing
    trials: Mapping[str, PlannedTrial]
    shares: Mapping[tuple[str, str, str], Share]
    """What each experiment on each variant was to measure, and how that ended."""
    open_trials: int
    """Trials that have not ended in any way."""
    left_s: float | None = None
    coordinator: Coordinator | None = None
    fleet: FleetView | None = None
    """The campaign's hosts; None without a broker."""
    parts: "PartsSeen | None" = None
    """What parts say; None where nobody wants to look that closely."""
    parts_whole: bool = True
    """Whether all parts were read that are to be read."""
    recent: tuple[tuple[PlannedTrial, Ended, float | None], ...] = field(default=())
    """The trials that ended last, each with its median time until ready, ns."""

    @property
    def running(self) -> bool:
        """Whether a coordinator is at work on it, wherever."""
        return self.coordinator is not None and self.coordinator.alive

    @property
    def state(self) -> str:
        """In one word, as the web page has it."""
        if not self.standing.left:
            return "done"
        return "running" if self.running else "incomplete"

    @property
    def over(self) -> bool:
        """Whether nothing more will come: all is measured, or was given up by a run that has ended."""
        return not self.standing.left or not (self.open_trials or self.running)


class FactsReader:
    """Reads them again and again. ``closely`` also looks into parts, which takes time.

    Raises ResultsError without a plan, and BrokerError when the broker does not answer the first time.
    """

    def __init__(self, folder: Path, broker: str | None, *, closely: bool) -> None:
        self._reader, self._signs = CampaignReader(folder), SignReader(folder)
        self._broker = broker
        self._client: Any = None
        self._has_answered = False
        self._parts = _parts_seen() if closely else None

    def read(self) -> Facts:
        """The campaign as it is now."""
        reader = self._reader
        with uncollected():
            reader.read()
            while reader.behind:
                reader.read()
        coordinator = self._signs.read()
        whole = self._parts.take(reader, READS_PARTS_S) if self._parts is not None else True
        running = coordinator is not None and coordinator.alive
        return Facts(
            standing=reader.standing,
            trials=reader.trials,
            shares=reader.shares,
            open_trials=len(reader.trials) - len(reader.ended),
            left_s=reader.left_s() if running else None,
            coordinator=coordinator,
            fleet=self._fleet(),
            parts=self._parts,
            parts_whole=whole,
            recent=self._recent(),
        )

    def _recent(self) -> tuple[tuple[PlannedTrial, Ended, float | None], ...]:
        parts, reader = self._parts, self._reader
        if parts is None:
            return ()
        return tuple(
            (trial, ended, parts.median_ns(reader, trial, ended))
            for trial, ended in reader.recent(MOST_RECENT)
        )

    def _fleet(self) -> FleetView | None:
        if self._broker is None:
            return None
        from contract.broker import broker_errors, connect

        try:
            with broker_errors(self._broker), uncollected():
                self._client = self._client or connect(self._broker)
                view = read_view(self._client, list(self._reader.standing.hosts))
        except BrokerError as error:
            if not self._has_answered:
                raise
            self._client = None
            return FleetView(problem=str(error), read_s=time.monotonic())
        self._has_answered = True
        return view


def _parts_seen() -> "PartsSeen":
    """What reads parts takes a second to import: only where somebody wants it."""
    from orchestrator.cli.views.ready_times import PartsSeen

    return PartsSeen()
