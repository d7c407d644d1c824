"""Gathering parts into a dataset, against a bare pyarrow rewrite of the same parts.

Each time in a process of its own, so that the peak of its memory is its own. The rewrite reads the two
tables of every part and writes them into the same files with the same compression. It is told beforehand
which part belongs where, looks at no record, checks nothing, and writes neither the table of trials nor
a manifest. Both find the parts in the page cache.
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
from functools import partial
from pathlib import Path

import many_trials
import pyarrow as pa
import pyarrow.parquet as pq
from figure import Figure, Size
from interleaved import in_turn, medians

from contract.parts import is_part_name
from orchestrator.gather import gather
from orchestrator.results import Results

NEEDS: tuple[str, ...] = ()
PARTS = {Size.SMOKE: 200, Size.FULL: 10_000, Size.HUGE: 100_000}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 3, Size.HUGE: 2}
DEADLINE_S = 1200
BUDGET = 1.5
LIMIT = "bare pyarrow rewrite"
NOTE = (
    "Ours also verifies every part, reads its record, and writes the table of trials and the manifest; "
    "the rewrite is told which part belongs where."
)


def ours(folder: Path) -> Callable[[], object]:
    """What ``tonnage run`` does at its end."""
    results = Results(folder)
    trials = results.planned()
    for trial in trials:
        assert trial.trial_id  # is known by then: all were dispatched by it
    return lambda: gather(results, trials)


def bare(folder: Path) -> Callable[[], object]:
    """The rewrite: places of parts are known beforehand."""
    trials = Results(folder).planned()
    places = {t.trial_id: f"experiment={t.experiment}/host={t.host}/data-0.parquet" for t in trials}
    by_place: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((folder / "parts").iterdir()):
        if named := is_part_name(path.name):
            by_place[places[named[0]]].append(path)
    return lambda: _rewrite(by_place, folder / "bare")


def _rewrite(by_place: dict[str, list[Path]], out: Path) -> None:
    for place, paths in by_place.items():
        tables: dict[str, list[pa.Table]] = {"instances": [], "samples": []}
        for path in paths:
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as part:
                for name, found in tables.items():
                    source = pa.BufferReader(part.read(f"{name}.parquet"))
                    found.append(pq.ParquetFile(source).read(use_threads=False))
        for name, found in tables.items():
            target = out / name / place
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.concat_tables(found), target, compression="zstd")


WAYS: dict[str, Callable[[Path], Callable[[], object]]] = {"ours": ours, "bare": bare}


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

        found = in_turn(ROUNDS[size], {name: partial(run, name) for name in WAYS})
    seconds = medians(found)
    case = f"gather {PARTS[size]:,} parts"
    yield Figure(case, seconds["ours"], "s", seconds["bare"], LIMIT, BUDGET, note=NOTE)
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
