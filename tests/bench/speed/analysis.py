"""Tables, comparison and report of many instance rows, against bare DuckDB scans and naive pandas.

Datasets are drawn by ``drawn_rows``. `TONNAGE_BENCH_ROWS` names a folder to keep them in between runs;
without it they are drawn anew and removed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from analysis_ways import TABLES
from drawn_rows import Design, write_rows
from figure import Figure, Size
from interleaved import in_turn

NEEDS: tuple[str, ...] = ()
ROOT = Path(__file__).parents[3]
KEPT = "TONNAGE_BENCH_ROWS"
DEADLINE_S = 3600
MOST_TIMES, MOST_MIB = 2.0, 2048.0
"""Budgets: of the full set of tables against bare scans, and of the memory of a report."""
BUDGET_FROM = 100_000_000
"""Rows that the first of them is about: of few rows the statistics take longer than any scan."""
EXACT_UP_TO = 10_000_000
"""Rows beyond which pandas takes more memory than a small machine has, and DuckDB's exact quantiles more
than ours may."""


@dataclass(frozen=True)
class Amount:
    """So many rows, measured so often."""

    rows: int
    rounds: int

    @property
    def hosts(self) -> int:
        """More hosts where trials would be too large."""
        return 20 if self.rows <= 100_000_000 else 60

    @property
    def named(self) -> str:
        """``10 million rows``."""
        return f"{self.rows / 1e6:g} million rows"


AMOUNTS = {
    Size.SMOKE: (Amount(100_000, 0),),
    Size.FULL: (Amount(1_000_000, 2), Amount(10_000_000, 1)),
    Size.HUGE: (
        Amount(1_000_000, 2),
        Amount(10_000_000, 1),
        Amount(100_000_000, 0),
        Amount(300_000_000, 0),
    ),
}
LIMITS = {
    "scan_once": "one bare DuckDB scan of the columns",
    "scans": "bare DuckDB scans, one per stage",
    "quantiles": "bare DuckDB scans with exact quantiles",
    "pandas": "naive pandas, quantiles alone",
}
OURS = {
    "tables": "all tables of lifecycle",
    "diagnostics": "diagnostics",
    "compare": "compare two profiles",
    "report": "whole report",
    "checked": "open, with checksums",
} | {name: f"table {name} alone" for name in TABLES}


@dataclass(frozen=True)
class Took:
    """Medians over rounds."""

    seconds: float
    cpu_s: float
    """Seconds of all processors together: they hang less on what else runs on the machine."""
    peak_mib: float


def measure(size: Size) -> Iterator[Figure]:
    """Seconds and peak memory of everything, amount by amount."""
    for amount in AMOUNTS[size]:
        with dataset(amount) as folder:
            yield from figures(amount, took(folder, amount, ways(amount, size)))


def ways(amount: Amount, size: Size) -> list[str]:
    """What is measured of so many rows."""
    if size is Size.SMOKE:
        return ["scans", "pandas", "tables", "compare", "report"]
    limits = [
        name for name in LIMITS if name not in ("pandas", "quantiles") or amount.rows <= EXACT_UP_TO
    ]
    return [*limits, *OURS]


@contextmanager
def dataset(amount: Amount) -> Iterator[Path]:
    """A dataset of so many rows, removed again unless it is to be kept."""
    kept = os.environ.get(KEPT)
    base = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="bench-analysis-"))
    folder = base / f"rows-{amount.rows}"
    try:
        if not (folder / "manifest.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            write_rows(folder, Design(amount.rows, hosts=amount.hosts))
        yield folder
    finally:
        if not kept:
            shutil.rmtree(base)


def took(folder: Path, amount: Amount, names: list[str]) -> dict[str, Took]:
    """Every way in a process of its own, in turn; once and in order where rounds are too dear."""
    all_of: dict[str, list[dict[str, float]]] = {name: [] for name in names}

    def once(name: str) -> float:
        all_of[name].append(child(name, folder))
        return all_of[name][-1]["seconds"]

    if amount.rounds:
        in_turn(amount.rounds, {name: lambda name=name: once(name) for name in names})
    else:
        for name in names:
            once(name)
    return {name: _middle(all_of[name][-max(1, amount.rounds) :]) for name in names}


def _middle(measured: list[dict[str, float]]) -> Took:
    return Took(*(median(one[key] for one in measured) for key in ("seconds", "cpu_s", "peak_mib")))


def child(name: str, folder: Path) -> dict[str, float]:
    """One measurement. Raises CalledProcessError when the process fails, such as for want of memory."""
    places = [ROOT, ROOT / "tests/analysis", ROOT / "tests/bench"]
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/analysis_ways.py"), name, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))},
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEADLINE_S,
        cwd=folder.parent,
    )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def figures(amount: Amount, found: dict[str, Took]) -> Iterator[Figure]:
    """Ours beside the limits."""
    limits = {name: found[name] for name in LIMITS if name in found}
    for name, what in OURS.items():
        if name not in found:
            continue
        case = f"{what}, {amount.named}"
        ours = found[name]
        if name == "tables":
            most = MOST_TIMES if amount.rows >= BUDGET_FROM else None
            yield from _against(case, ours, limits, most)
        else:
            yield Figure(case, ours.seconds, "s")
        most = MOST_MIB if name in ("tables", "compare", "report") else None
        yield Figure(f"{case}: peak memory", ours.peak_mib, "MiB", budget=most)
    for name, what in LIMITS.items():
        if name in found:
            yield Figure(f"{what}, {amount.named}: peak memory", found[name].peak_mib, "MiB")


def _against(
    case: str, ours: Took, limits: dict[str, Took], most_times: float | None
) -> Iterator[Figure]:
    notes = {
        "scans": "the scans give counts and means by host and profile, no quantile and no interval",
        "scan_once": "the scan groups nothing; the tables give quantiles with intervals of ten stages",
        "quantiles": "point estimates alone; the tables have intervals too",
        "pandas": "quantiles by host and profile alone",
    }
    for name, limit in limits.items():
        budget = most_times if name == "scans" else None
        of = LIMITS[name]
        named = case if name == "scans" else f"{case} (against {of})"
        yield Figure(named, ours.seconds, "s", limit.seconds, of, budget, note=notes[name])
        named = f"{named}: processor seconds"
        yield Figure(named, ours.cpu_s, "s", limit.cpu_s, of)
