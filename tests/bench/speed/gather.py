"""Gathering parts into a dataset, against a bare pyarrow rewrite of the same parts.

Each time in a process of its own, so that the peak of its memory is its own. The rewrite knows
beforehand which part belongs where, checks nothing, and keeps no manifest; it writes the same files with
the same compression, the table of trials made of the records' JSON. Both find the parts in the page
cache.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import many_trials
import pyarrow as pa
import pyarrow.parquet as pq
from figure import Figure, Size
from interleaved import in_turn

from contract.parts import is_part_name
from orchestrator.gather import gather
from orchestrator.results import Results

NEEDS: tuple[str, ...] = ()
PARTS = {Size.SMOKE: 200, Size.FULL: 10_000, Size.HUGE: 100_000}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 3, Size.HUGE: 1}
DEADLINE_S = 1200
BUDGET = 1.5
LIMIT = "bare pyarrow rewrite"
NOTE = (
    "The rewrite is told which part belongs where, and verifies nothing. Without the table of trials it "
    "needs {alone:.3g} s."
)


def ours(folder: Path) -> Callable[[], object]:
    """What ``tonnage run`` does at its end."""
    results = Results(folder)
    trials = results.planned()
    return lambda: gather(results, trials)


def bare(folder: Path, *, with_trials: bool = True) -> Callable[[], object]:
    """The rewrite: places of parts are known beforehand."""
    trials = Results(folder).planned()
    places = {t.trial_id: f"experiment={t.experiment}/host={t.host}/data-0.parquet" for t in trials}
    by_place: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((folder / "parts").iterdir()):
        if named := is_part_name(path.name):
            by_place[places[named[0]]].append(path)
    return lambda: _rewrite(by_place, folder / "bare", with_trials=with_trials)


def _rewrite(by_place: dict[str, list[Path]], out: Path, *, with_trials: bool) -> None:
    records: list[dict[str, Any]] = []
    for place, paths in by_place.items():
        tables: dict[str, list[pa.Table]] = {"instances": [], "samples": []}
        for path in paths:
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as part:
                for name, found in tables.items():
                    source = pa.BufferReader(part.read(f"{name}.parquet"))
                    found.append(pq.ParquetFile(source).read(use_threads=False))
                if with_trials:
                    records.append(_flat(json.loads(part.read("trial.json"))))
        for name, found in tables.items():
            target = out / name / place
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.concat_tables(found), target, compression="zstd")
    if with_trials:
        pq.write_table(pa.Table.from_pylist(records), out / "trials.parquet", compression="zstd")


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row: what is a mapping becomes JSON."""
    row = record.pop("trial") | record
    return {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}


WAYS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "ours": ours,
    "bare": bare,
    "rows alone": lambda folder: bare(folder, with_trials=False),
}


def measure(size: Size) -> Iterator[Figure]:
    """Seconds, and the largest memory of the whole process."""
    with tempfile.TemporaryDirectory(prefix="bench-gather-") as folder:
        many_trials.fill(Results(Path(folder)), many_trials.plan(PARTS[size]))
        peaks: dict[str, list[float]] = {name: [] for name in WAYS}

        def run(name: str) -> float:
            done = subprocess.run(
                [sys.executable, "-m", "speed.gather", name, folder],
                check=True,
                stdout=subprocess.PIPE,
                timeout=DEADLINE_S,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            said = json.loads(done.stdout)
            peaks[name].append(said["peak_mib"])
            return float(said["seconds"])

        found = in_turn(ROUNDS[size], {name: lambda name=name: run(name) for name in WAYS})
    seconds = {name: median(each) for name, each in found.items()}
    case = f"gather {PARTS[size]:,} parts"
    note = NOTE.format(alone=seconds["rows alone"])
    yield Figure(case, seconds["ours"], "s", seconds["bare"], LIMIT, BUDGET, note=note)
    yield Figure(f"{case}: peak memory", max(peaks["ours"]), "MiB", max(peaks["bare"]), LIMIT)


def peak_mib() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _main(name: str, folder: Path) -> None:
    act = WAYS[name](folder)
    begun = time.perf_counter()
    act()
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
