"""The report of a campaign of every experiment on a hundred hosts, against bare DuckDB scans.

Each time in a process of its own. The limit reads every column of every file once, and shows nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import hundred_hosts
from figure import Figure, Size
from interleaved import in_turn
from speed.gather import peak_mib

import analysis.report
from analysis.diagnostics import section as diagnostics
from analysis.tables import table_modules

NEEDS: tuple[str, ...] = ()
HOSTS = {Size.SMOKE: 2, Size.FULL: 100, Size.HUGE: 400}
BLOCKS = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 10}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 2, Size.HUGE: 1}
DEADLINE_S = 1800
LIMIT = "DuckDB scans of all columns"
BUDGET_MIB = 3
"""For a hundred hosts."""


def measure(size: Size) -> Iterator[Figure]:
    """Seconds, memory, the page's size, and what every section takes of the seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-report-") as name:
        folder, hosts = Path(name), HOSTS[size]
        dataset = hundred_hosts.write(folder, hosts, BLOCKS[size])
        said: dict[str, dict[str, Any]] = {}

        def run(way: str) -> float:
            done = subprocess.run(
                [sys.executable, "-m", "speed.report", way, dataset, folder / "report"],
                check=True,
                stdout=subprocess.PIPE,
                timeout=DEADLINE_S,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            said[way] = json.loads(done.stdout)
            return float(said[way]["seconds"])

        found = in_turn(ROUNDS[size], {way: partial(run, way) for way in WAYS})
        page_mib = (folder / "report" / "report.html").stat().st_size / 2**20
    case = f"report of {hosts} hosts"
    note = f"{rows_of(said['bare'])} in {said['bare']['files']:,} files."
    yield Figure(case, median(found["ours"]), "s", median(found["bare"]), LIMIT, note=note)
    yield Figure(
        f"{case}: peak memory", said["ours"]["peak_mib"], "MiB", said["bare"]["peak_mib"], LIMIT
    )
    yield Figure(f"{case}: its page", page_mib, "MiB", budget=BUDGET_MIB if hosts <= 100 else None)
    for part, seconds in said["ours"]["parts"].items():
        yield Figure(f"{case}: {part}", seconds, "s")


def rows_of(said: dict[str, Any]) -> str:
    """Rows of every table, in words."""
    return ", ".join(f"{count:,} rows of {table}" for table, count in said["rows"].items())


def ours(dataset: Path, out: Path) -> dict[str, Any]:
    """Write the report, with the seconds of each of its parts."""
    parts: Counter[str] = Counter()
    for experiment, module in table_modules().items():
        for name in ("table", "section"):
            setattr(module, name, _clocked(getattr(module, name), experiment, parts))
    for name in ("table", "section"):
        setattr(diagnostics, name, _clocked(getattr(diagnostics, name), "diagnostics", parts))
    for name in ("open_dataset", "write_page"):
        words = {"open_dataset": "opening", "write_page": "tables and page"}[name]
        setattr(analysis.report, name, _clocked(getattr(analysis.report, name), words, parts))
    analysis.report.write_report(dataset, out)
    return {"parts": dict(parts.most_common())}


def bare(dataset: Path, _: Path) -> dict[str, Any]:
    """Read every column of every table once."""
    files = {
        table: list((dataset / table).rglob("*.parquet")) for table in ("trials", "instances", "samples")
    }
    rows = {}
    with duckdb.connect() as connection:
        for table, paths in files.items():
            read = connection.read_parquet([str(path) for path in paths])
            columns = ", ".join(f'max("{name}")' for name in read.columns)
            rows[table] = read.aggregate(f"count(*), {columns}").fetchall()[0][0]
    return {"rows": rows, "files": sum(map(len, files.values()))}


WAYS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {"ours": ours, "bare": bare}


def _clocked(act: Callable[..., Any], part: str, parts: Counter[str]) -> Callable[..., Any]:
    def clocked(*given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return act(*given, **named)
        finally:
            parts[part] += time.perf_counter() - begun  # type: ignore[assignment]

    return clocked


def _main(way: str, dataset: Path, out: Path) -> None:
    begun = time.perf_counter()
    said = WAYS[way](dataset, out)
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_mib": peak_mib()} | said))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
