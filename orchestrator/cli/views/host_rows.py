"""Hosts as rows: what is shown of each, found by words, sorted, a page at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.cells import variant_name
from orchestrator.fleet import HostEntry

ROWS_PER_PAGE = 100
STATES = ("busy", "idle", "quarantined", "unsigned", "stale", "other version", "unreadable")
"""Every state that ``HostEntry`` knows, in the order in which they are shown."""
CLOCK_OFF_NS = 50_000_000
"""A clock that is off by more deserves a second look."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host, in words and numbers."""

    name: str
    state: str
    engines: tuple[str, ...]
    absent: tuple[tuple[str, str], ...]
    cpus: int | None
    mem_bytes: float | None
    free_bytes: float | None
    offset_ns: int | None
    offset_error_ns: int | None
    measuring: str
    trial_id: str
    since_s: float | None
    beat_s: float | None
    """Seconds since its last heartbeat."""
    labels: tuple[str, ...]
    why: str
    """Why it is in quarantine."""
    unbelieved: str
    """Why its registration is not believed, where this server has keys."""

    @property
    def clock_is_off(self) -> bool:
        """Whether its clock differs much from the broker's."""
        return self.offset_ns is not None and abs(self.offset_ns) > CLOCK_OFF_NS


def host_row(entry: HostEntry, now_s: float) -> HostRow:
    """What is shown of a host when the broker's clock says ``now_s``, seconds since 1970 UTC."""
    engines, beat, activity = entry.engines, entry.beat, entry.activity
    present = [
        " ".join(filter(None, (name, str(engine.get("version") or ""))))
        for name, engine in engines.items()
        if engine.get("present")
    ]
    absent = [
        (name, str(engine.get("reason", "no reason given")))
        for name, engine in engines.items()
        if not engine.get("present")
    ]
    variant = variant_name(activity["driver"], activity["profile"]) if activity else ""
    host_now_s = now_s - beat.get("clock_offset_ns", 0) / 1e9
    return HostRow(
        name=entry.name,
        state=entry.state,
        engines=tuple(present),
        absent=tuple(absent),
        cpus=_number(entry.facts.get("cpu_count")),
        mem_bytes=_number(entry.facts.get("mem_bytes")),
        free_bytes=beat.get("mem_available_bytes"),
        offset_ns=beat.get("clock_offset_ns"),
        offset_error_ns=beat.get("clock_error_ns"),
        measuring=f"{activity['experiment']} {variant}" if activity else "",
        trial_id=str(activity.get("trial", "")),
        since_s=max(0.0, host_now_s - activity["since_ns"] / 1e9) if activity else None,
        beat_s=max(0.0, host_now_s - beat["at"]) if "at" in beat else None,
        labels=tuple(f"{key}={value}" for key, value in sorted(entry.labels.items())),
        why=str(entry.quarantine.get("why", "")),
        unbelieved=entry.unbelieved,
    )


def _number(said: object) -> Any:
    """A fact that is a count; None for what somebody else may have put there."""
    return said if isinstance(said, int | float) and not isinstance(said, bool) and said >= 0 else None


SORTS: dict[str, Callable[[HostRow], Any]] = {
    "name": lambda row: row.name,
    "state": lambda row: (STATES.index(row.state), row.name),
    "measuring": lambda row: (row.measuring == "", row.measuring, row.name),
    "clock": lambda row: (-abs(row.offset_ns or 0), row.name),
    "free": lambda row: (row.free_bytes is None, row.free_bytes or 0, row.name),
}
"""Orders that hosts can be listed in."""


@dataclass(frozen=True, slots=True)
class HostPage:
    """One page of the hosts that were asked for."""

    rows: Sequence[HostRow]
    found: int
    page: int
    pages: int


def by_state(hosts: Iterable[HostEntry]) -> dict[str, int]:
    """How many hosts are in each state, the states in a fixed order."""
    counts = Counter(host.state for host in hosts)
    return {state: counts[state] for state in STATES if counts[state]}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which hosts are asked for: those with all words somewhere in what is shown, and with the state."""

    words: str = ""
    state: str = ""
    sort: str = "name"
    page: int = 1


def page_of(hosts: Iterable[HostEntry], asked: Asked, now_s: float) -> HostPage:
    """The hosts that are asked for, a page of them."""
    wanted = asked.words.lower().split()
    rows = [host_row(host, now_s) for host in hosts if asked.state in ("", host.state)]
    found = [row for row in rows if all(word in _text(row) for word in wanted)] if wanted else rows
    found.sort(key=SORTS.get(asked.sort, SORTS["name"]))
    pages = max(1, -(-len(found) // ROWS_PER_PAGE))
    page = min(max(1, asked.page), pages)
    return HostPage(found[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE], len(found), page, pages)


def _text(row: HostRow) -> str:
    parts = (row.name, row.state, row.measuring, row.why, row.unbelieved, *row.engines, *row.labels)
    return " ".join(parts).lower()
