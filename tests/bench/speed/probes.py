"""Tables of isolation, management and recovery of many rows, against bare DuckDB scans of the same.

As ``analysis`` does it for lifecycle: datasets are drawn by ``drawn_probes``, and each time is taken in
a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import duckdb
from analysis_ways import BARE_MEMORY_LIMIT
from drawn_probes import MODELS, Design, write_probes
from figure import Figure, Size
from interleaved import in_turn
from speed.gather import peak_mib

from analysis.dataset import open_dataset
from analysis.tables import table_modules

NEEDS: tuple[str, ...] = ()
ROWS = {
    Size.SMOKE: (10_000,),
    Size.FULL: (1_000_000, 10_000_000),
    Size.HUGE: (1_000_000, 10_000_000, 100_000_000),
}
REPEATED = 1_000_000
"""Rows that are reduced twice, after a round that warms up; all others once."""
DEADLINE_S = 3600
MOST_MIB = 2048.0
LIMIT = "bare DuckDB scans: count, mean, least and most of each value"

Scan = tuple[str, str, str]
"""Table, value, and condition."""
SCANS: dict[str, tuple[Scan, ...]] = {
    "isolation": (("samples", "value", "metric = 'isolation.latency'"),),
    "management": (
        ("instances", "t_ready - t_call", "NOT warm_up"),
        *(
            ("samples", "value", f"metric = 'management.{name}'")
            for name in ("call", "interruption", "jitter", "lost_requests")
        ),
    ),
    "recovery": (
        *(
            ("instances", stage, "NOT warm_up")
            for stage in (
                "t_ready - t_fault",
                "t_detect - t_fault",
                "t_act - t_detect",
                "t_ready - t_act",
            )
        ),
        *(("samples", "value", f"metric = 'recovery.{name}'") for name in ("outage", "lost_requests")),
    ),
}


def ours(folder: Path, experiment: str) -> None:
    """All tables of the experiment."""
    with open_dataset(folder, check_sums=False) as opened:
        table_modules()[experiment].table(opened)


def bare(folder: Path, experiment: str) -> None:
    """A scan per value, by host and profile."""
    with duckdb.connect(config={"memory_limit": BARE_MEMORY_LIMIT}) as connection:
        for table, value, where in SCANS[experiment]:
            files = folder / f"{table}/experiment={experiment}/*/*.parquet"
            connection.sql(
                f"""
                SELECT r.host, profile, count(v), avg(v), min(v), max(v)
                FROM (
                    SELECT host, trial_id, {value} AS v
                    FROM read_parquet('{files}', hive_partitioning=true) WHERE {where}
                ) r JOIN '{folder / "trials/trials.parquet"}' t USING (trial_id)
                GROUP BY r.host, profile
                """
            ).fetchall()


WAYS: dict[str, Callable[[Path, str], None]] = {"ours": ours, "bare": bare}


def measure(size: Size) -> Iterator[Figure]:
    """Seconds and peak memory of the tables, by experiment and rows."""
    for experiment in MODELS:
        for rows in ROWS[size]:
            with tempfile.TemporaryDirectory(prefix="bench-probes-") as name:
                folder = write_probes(Path(name) / "dataset", Design(experiment, rows))
                case = f"tables of {experiment}, {rows / 1e6:g} million rows"
                yield from _figures(case, _measured(folder, experiment, rows))


def _measured(folder: Path, experiment: str, rows: int) -> dict[str, list[dict[str, float]]]:
    """What every process said of itself, by way; the round that warms up left out."""
    said: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}

    def run(way: str) -> float:
        said[way].append(_child(way, folder, experiment))
        return said[way][-1]["seconds"]

    if rows != REPEATED:
        for way in WAYS:
            run(way)
        return said
    in_turn(2, {way: partial(run, way) for way in WAYS})
    return {way: found[1:] for way, found in said.items()}


def _figures(case: str, said: dict[str, list[dict[str, float]]]) -> Iterator[Figure]:
    for key, what in (("seconds", ""), ("cpu_s", ": processor seconds")):
        took = {way: median(one[key] for one in found) for way, found in said.items()}
        yield Figure(f"{case}{what}", took["ours"], "s", took["bare"], LIMIT)
    peak = max(one["peak_mib"] for one in said["ours"])
    yield Figure(f"{case}: peak memory", peak, "MiB", budget=MOST_MIB)


def _child(way: str, folder: Path, experiment: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "speed.probes", way, folder, experiment],
        check=True,
        stdout=subprocess.PIPE,
        timeout=DEADLINE_S,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _main(way: str, folder: Path, experiment: str) -> None:
    begun, used = time.perf_counter(), time.process_time()
    WAYS[way](folder, experiment)
    took, used = time.perf_counter() - begun, time.process_time() - used
    print(json.dumps({"seconds": took, "cpu_s": used, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
