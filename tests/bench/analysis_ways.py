"""One way to reduce a drawn dataset, in a process of its own: `python analysis_ways.py WAY FOLDER`.

Prints seconds after imports, those of the processors, and the most memory that the process ever held, as
JSON.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BARE_MEMORY_LIMIT = "1GB"
"""As much as the analysis gives to DuckDB."""
READY = "t_ready - t_intent"
STAGES = (
    READY,
    "t_call - t_intent",
    "t_created - t_call",
    "t_started - t_created",
    "t_beacon - t_started",
    "t_ready - t_beacon",
    "t_gone - t_stop_call",
    "t_exited - t_stop_call",
    "t_reclaimed - t_stop_call",
)
"""What the tables of lifecycle give quantiles of."""
STAMPS = sorted({word for stage in STAGES for word in stage.split(" - ")})
QUANTILES = (0.5, 0.9, 0.95, 0.99)


def _instances(folder: Path) -> str:
    files = folder / "instances/experiment=lifecycle/*/*.parquet"
    return f"read_parquet('{files}', hive_partitioning=true, hive_types_autocast=false)"


def _bare(folder: Path, *queries: str) -> None:
    """Queries as a person would write them, trials joined for their profile."""
    import duckdb

    with duckdb.connect(config={"memory_limit": BARE_MEMORY_LIMIT}) as connection:
        for query in queries:
            joined = (
                f"{_instances(folder)} i JOIN '{folder / 'trials/trials.parquet'}' t USING (trial_id)"
            )
            connection.sql(query.format(rows=_instances(folder), joined=joined)).fetchall()


def scan_once(folder: Path) -> None:
    """Every column that the tables read, decoded once and added up; no groups, no quantiles."""
    columns = ", ".join(f"sum({stamp})" for stamp in STAMPS)
    others = "count(error_class), max(outcome), max(trial_id), max(concurrency), max(instance)"
    _bare(folder, f"SELECT {columns}, {others} FROM {{rows}} WHERE NOT warm_up AND NOT resident")


def scans(folder: Path) -> None:
    """A scan per stage and one of outcomes: count, mean, least and most by host and profile."""
    where = "WHERE NOT warm_up AND NOT resident"
    by = "GROUP BY i.host, profile"
    stages = (
        f"SELECT i.host, profile, count({s}), avg({s}), min({s}), max({s}) FROM {{joined}} {where} {by}"
        for s in STAGES
    )
    ended = f"SELECT i.host, profile, i.outcome, count(*) FROM {{joined}} {where} {by}, i.outcome"
    _bare(folder, *stages, ended)


def quantiles(folder: Path) -> None:
    """The same scans with exact quantiles: the point estimates alone, without any interval."""
    asked = ", ".join(map(str, QUANTILES))
    stages = (
        f"SELECT i.host, profile, quantile_disc({s}, [{asked}]) FROM {{joined}} GROUP BY i.host, profile"
        for s in STAGES
    )
    _bare(folder, *stages)


def pandas(folder: Path) -> None:
    """Naive pandas: everything into memory, then quantiles by host and profile."""
    import pandas as pd

    columns = ["trial_id", "outcome", "error_class", *STAMPS]
    rows = pd.read_parquet(folder / "instances/experiment=lifecycle", columns=[*columns, "host"])
    trials = pd.read_parquet(folder / "trials/trials.parquet", columns=["trial_id", "profile"])
    rows = rows.merge(trials, on="trial_id")
    for stage in STAGES:
        end, start = stage.split(" - ")
        rows["took"] = rows[end] - rows[start]
        rows.groupby(["host", "profile"], observed=True)["took"].quantile(list(QUANTILES))
    rows.groupby(["host", "profile", "outcome"], observed=True).size()


def checked(folder: Path) -> None:
    """Open the dataset: schemas, row counts and the SHA-256 of every file."""
    from analysis.dataset import open_dataset

    open_dataset(folder).close()


def tables(folder: Path) -> None:
    """All tables of lifecycle."""
    from analysis.dataset import open_dataset
    from analysis.tables import lifecycle

    with open_dataset(folder, check_sums=False) as opened:
        lifecycle.table(opened)


def _one_table(name: str) -> Callable[[Path], None]:
    def only(folder: Path) -> None:
        from analysis import latency, pairs, scaling
        from analysis.cells import Cells
        from analysis.dataset import open_dataset
        from analysis.distributions import Reduction
        from analysis.tables import lifecycle

        made: dict[str, Callable[[Reduction], object]] = {
            "outcomes": latency.outcome_rows,
            "latency": lambda reduction: latency.latency_rows(reduction, lifecycle.STAGES),
            "comparison": lambda reduction: pairs.pair_rows(
                reduction, (lifecycle.READY, lifecycle.DELETE)
            ),
            "reasons": latency.reason_rows,
            "distribution": lambda reduction: latency.curve_rows(reduction, lifecycle.READY),
            "scaling": scaling.scaling_rows,
        }
        with open_dataset(folder, check_sums=False) as opened:
            made[name](Reduction(Cells(opened, lifecycle.EXPERIMENT)))

    return only


def diagnostics(folder: Path) -> None:
    """Whether the numbers of all experiments can be trusted."""
    from analysis.dataset import open_dataset
    from analysis.diagnostics import section

    with open_dataset(folder, check_sums=False) as opened:
        section.table(opened)


def compare(folder: Path) -> None:
    """One profile against another, every metric, as `tonnage compare` does it."""
    from analysis.compare.comparison import Options
    from analysis.compare.comparison import compare as compare_sides
    from analysis.compare.selection import parse_selection
    from analysis.compare.sides import sides_of
    from analysis.dataset import open_dataset

    selections = parse_selection(["profile=small"], "--a"), parse_selection(["profile=large"], "--b")
    with open_dataset(folder, check_sums=False) as opened:
        compare_sides(sides_of((opened, opened), selections), Options())


def report(folder: Path) -> None:
    """The whole report, checksums and all other experiments included."""
    from analysis.report import write_report

    with tempfile.TemporaryDirectory() as out:
        write_report(folder, Path(out))


TABLES = ("outcomes", "latency", "comparison", "reasons", "distribution", "scaling")
WAYS: dict[str, Callable[[Path], None]] = {
    way.__name__: way
    for way in (scan_once, scans, quantiles, pandas, checked, tables, diagnostics, compare, report)
} | {name: _one_table(name) for name in TABLES}


def main() -> int:
    """Import what the way needs, then time it."""
    way, folder = WAYS[sys.argv[1]], Path(sys.argv[2])
    import analysis.report  # noqa: F401 - as early as a running `tonnage report` has it

    begun, used = time.perf_counter(), time.process_time()
    way(folder)
    took, used = time.perf_counter() - begun, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": took, "cpu_s": used, "peak_mib": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
