"""All results folders below the root: which there are, and how each stands, kept up to date by a thread.

Of every folder a short overview is kept; readers, which know every trial, only of those that are looked
at or under way. A folder is read again when something in it has another time or size than before.
"""

import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import ResultsError, TonnageError, UseError
from orchestrator.cli.serving.live import Hub
from orchestrator.cli.views.reading import CampaignReader
from orchestrator.results import Results
from orchestrator.sign_of_life import Coordinator, SignReader

EVERY_S = 0.5
MOST_FOLDERS = 2000
MOST_READERS = 12
"""Readers that are kept: some hundred bytes for every trial of each."""
MOST_REASONS = 20
SETTLED_S = 2.0
"""A folder whose times are younger is read again: another part may have come at the same moment."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Overview:
    """How one results folder stands, in short."""

    name: str
    campaign: str = ""
    planned: int = 0
    left: int = 0
    hosts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: list[tuple[str, int]] = field(default_factory=list)
    left_s: float | None = None
    changed_s: float = 0.0
    coordinator: str = ""
    """The machine whose coordinator is at work on the folder, or died of it."""
    running: bool = False
    """Whether that one lives."""
    last_sign_s: float = 0.0
    """When the dead one was last heard of, by its own clock."""
    has_dataset: bool = False
    has_report: bool = False
    problem: str = ""

    @property
    def state(self) -> str:
        """In one word."""
        if self.problem:
            return "unreadable"
        if not self.planned:
            return "dataset"
        if not self.left:
            return "done"
        return "running" if self.running else "incomplete"

    @property
    def done(self) -> int:
        """Trials that were measured."""
        return self.planned - self.left


class Shelf:
    """Everything below ``root``. Pages ask it; ``begin`` starts the thread that keeps it fresh."""

    def __init__(self, root: Path, hub: Hub) -> None:
        self.root, self._hub = root, hub
        self.overviews: dict[str, Overview] = {}
        self.read_all = False
        """Whether every folder has been read once."""
        self.too_many = False
        self._stamps: dict[str, object] = {}
        self._readers: OrderedDict[str, CampaignReader] = OrderedDict()
        self._signs: dict[str, SignReader] = {}
        self._lock = threading.RLock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="shelf", daemon=True)

    def begin(self) -> None:
        """Start keeping it fresh."""
        self._thread.start()

    def end(self) -> None:
        """Stop, and wait for that."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def folder(self, name: str) -> Path:
        """The folder of a name that the shelf has. Raises UseError for any other."""
        if name not in self.overviews and name not in dict(self._listed()):
            raise UseError(f"no results folder '{name}' here")
        return self.root / name

    def overview(self, name: str) -> Overview:
        """How a folder stands. Raises UseError when there is no such folder."""
        self.folder(name)
        if name not in self.overviews:
            self._look_at(name)
        return self.overviews[name]

    def reader(self, name: str) -> CampaignReader:
        """A folder's reader, which has read it at least once. Raises UseError, ResultsError."""
        folder = self.folder(name)
        with self._lock:
            found = self._readers.pop(name, None) or CampaignReader(folder)
            self._readers[name] = found
            while len(self._readers) > MOST_READERS:
                self._readers.popitem(last=False)
        with found.lock:
            if not found.trials:
                found.read()
        return found

    def campaign_of(self, trial_id: str) -> str | None:
        """The folder that plans a trial, among those whose readers are kept."""
        with self._lock:
            readers = list(self._readers.items())
        return next((name for name, reader in readers if trial_id in reader.trials), None)

    def refresh(self) -> None:
        """Look at every folder once, and read those in which something is new."""
        listed = self._listed()
        for name in set(self.overviews) - dict(listed).keys():
            del self.overviews[name]
            self._stamps.pop(name, None)
            self._signs.pop(name, None)
            self._hub.changed("campaigns")
        for name, path in listed:
            if self._end.is_set():
                return
            stamp = _stamp(path, self._coordinator(name))
            if stamp != self._stamps.get(name) or _unsettled(stamp) or self._is_behind(name):
                self._look_at(name)
                self._stamps[name] = stamp
        self.read_all = True

    def _is_behind(self, name: str) -> bool:
        reader = self._readers.get(name)
        return reader is not None and reader.behind

    def _coordinator(self, name: str) -> Coordinator | None:
        with self._lock:
            return self._signs.setdefault(name, SignReader(self.root / name)).read()

    def _look_at(self, name: str) -> None:
        """Read what is new in one folder, and tell those who look at it."""
        before, now = self.overviews.get(name), self._read(name)
        if now != before:
            self.overviews[name] = now
            self._hub.changed("campaigns")
            self._hub.changed(f"campaign:{name}")

    def _read(self, name: str) -> Overview:
        path = self.root / name
        results = Results(path)
        there = {
            "has_dataset": _dataset_in(path),
            "has_report": (results.report / "report.html").is_file(),
        }
        overview = Overview(name, name, changed_s=_changed_s(path))
        if (coordinator := self._coordinator(name)) is not None:
            overview.coordinator, overview.running = coordinator.machine, coordinator.alive
            overview.last_sign_s = 0.0 if coordinator.alive else coordinator.at_s
        overview.has_dataset, overview.has_report = there["has_dataset"], there["has_report"]
        if results.plan_written() is None and overview.has_dataset:
            return overview
        reader = self._readers.get(name) or CampaignReader(path)
        try:
            reader.read()
        except ResultsError as error:
            overview.problem = str(error)
            return overview
        if overview.running or reader.behind:
            with self._lock:
                self._readers[name] = reader
        with reader.lock:
            standing = reader.standing
            overview.campaign, overview.planned = standing.campaign, standing.planned
            overview.left, overview.hosts = standing.left, len(standing.hosts)
            overview.outcomes, overview.verdicts = standing.outcomes, +standing.verdicts
            overview.reasons = standing.reasons.most_common(MOST_REASONS)
        overview.left_s = reader.left_s() if overview.state == "running" else None
        return overview

    def _listed(self) -> list[tuple[str, Path]]:
        """Folders that may hold results; one that lies elsewhere by a link is none."""
        root = self.root.resolve()
        found = []
        try:
            for entry in os.scandir(root):
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    path = root / entry.name
                    if (path / "plan.json").is_file() or _dataset_in(path):
                        found.append((entry.name, path))
        except OSError as error:
            log.warning("%s cannot be listed: %s", root, error.strerror)
        self.too_many = len(found) > MOST_FOLDERS
        return sorted(found)[:MOST_FOLDERS]

    def _keep(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            try:
                self.refresh()
            except (OSError, TonnageError):
                log.exception("results folders cannot be read")
            # of a shelf that is slow to read no more than a third of the time is spent on it
            self._end.wait(max(EVERY_S, 2 * (time.monotonic() - began)))


_WATCHED = ("plan.json", "received.jsonl", "parts", "report/report.html", "dataset/manifest.json")


def _stamp(folder: Path, coordinator: Coordinator | None) -> tuple[object, ...]:
    """What is another one whenever something of interest has changed."""
    found: list[object] = [f"{coordinator.machine} {coordinator.alive}" if coordinator else ""]
    for name in _WATCHED:
        try:
            status = (folder / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _unsettled(stamp: tuple[object, ...]) -> bool:
    times = [one[2] for one in stamp if isinstance(one, tuple)]
    return bool(times) and time.time_ns() - max(times) < SETTLED_S * 1e9


def _changed_s(folder: Path) -> float:
    times = [0.0]
    for name in _WATCHED:
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _dataset_in(folder: Path) -> bool:
    return any((place / "manifest.json").is_file() for place in (folder, folder / "dataset"))
