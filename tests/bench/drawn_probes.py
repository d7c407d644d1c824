"""Datasets of many rows of isolation, management and recovery, drawn by log-normal models.

Started by hand: `PYTHONPATH=.:tests/analysis python tests/bench/drawn_probes.py FOLDER recovery`, with
`--rows 5000000` for more of them.

As ``drawn_rows`` does for lifecycle: every time is its median times X·B·H, where X is drawn per value, B
per trial and H per host, and files are those of the gathering. A row is a request to the victim in
isolation, a verb in management (pause and resume by turns), and an injection in recovery.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from drawn_rows import MS
from make_dataset import manifest_of
from make_trials import Where, record_of

from contract.parts import TrialRecord, trials_table
from contract.tables import schema_of
from orchestrator.compact import CompactFile, described, place_of

SECOND = 1000 * MS
SIGMA = 0.2
NEVER = 0.002
"""Share of what never happens."""
PERIOD_MS = 20.0
"""Between two probes."""
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Design:
    """How many rows, and of what."""

    experiment: str
    rows: int
    hosts: int = 20
    blocks: int = 20
    profiles: tuple[tuple[str, float], ...] = (("small", 1.0), ("large", 1.5))
    host_sigma: float = 0.05
    block_sigma: float = 0.03
    seed: int = 1

    @property
    def per_trial(self) -> int:
        """Rows of each trial, at least six."""
        return max(6, -(-self.rows // (self.hosts * self.blocks * len(self.profiles))))


Tables = dict[str, pa.Table]


def write_probes(folder: Path, design: Design) -> Path:
    """Write the dataset."""
    folder.mkdir(parents=True)
    records: list[TrialRecord] = []
    files: list[dict[str, Any]] = []
    for number in range(design.hosts):
        found = _write_host(folder, design, number)
        records += found[0]
        files += found[1]
    target = folder / "trials/trials.parquet"
    target.parent.mkdir()
    pq.write_table(trials_table(records), target, compression="zstd")
    content = manifest_of(records, [described(target, folder), *files])
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def _write_host(
    folder: Path, design: Design, number: int
) -> tuple[list[TrialRecord], list[dict[str, Any]]]:
    host, rng = f"h{number + 1:04}", np.random.default_rng([design.seed, number])
    slower = float(np.exp(rng.normal(0, design.host_sigma)))
    paths = {name: place_of(folder, name, design.experiment, host) for name in ("instances", "samples")}
    records = []
    with (
        CompactFile(paths["instances"], "instances", keep_empty=True) as instances,
        CompactFile(paths["samples"], "samples", keep_empty=True) as samples,
    ):
        for block in range(design.blocks):
            for profile, factor in design.profiles:
                params = PARAMS[design.experiment] | {"phase_s": float(design.per_trial)}
                where = Where(profile=profile, params=params, duration_s=1e6)
                record = record_of(where, design.experiment, host, block, {})
                own = slower * factor * float(np.exp(rng.normal(0, design.block_sigma)))
                rows = MODELS[design.experiment](design.per_trial, own, rng)
                instances.append(_filled("instances", rows["instances"], record))
                samples.append(_filled("samples", rows["samples"], record))
                records.append(record)
    return records, [described(path, folder) for path in paths.values()]


def _filled(table: str, columns: dict[str, Any], record: TrialRecord) -> pa.Table:
    """All columns of a table; what is said once holds for all rows."""
    schema = schema_of(table)
    n = next((len(column) for column in columns.values() if isinstance(column, np.ndarray)), 0)
    own = columns | {"trial_id": record.trial.trial_id, "attempt": 1}
    return pa.Table.from_arrays([_array(own.get(f.name), f.type, n) for f in schema], schema=schema)


def _array(column: Any, kind: pa.DataType, n: int) -> pa.Array:
    if column is None:
        return pa.nulls(n, kind)
    if not isinstance(column, np.ndarray):
        return pa.repeat(pa.scalar(column, kind), n)
    if column.dtype == np.float64:
        whole = np.where(np.isnan(column), 0, column)
        exact = whole if pa.types.is_floating(kind) else whole.astype(np.int64)
        return pa.array(exact, mask=np.isnan(column)).cast(kind)
    return pa.array(column).cast(kind)


_ROW = {
    "outcome": "ok",
    "ready_level": "reply",
    "concurrency": 1,
    "residents": 0,
    "resident": False,
    "warm_up": False,
}


def _times(n: int, median_ms: float, factor: float, rng: np.random.Generator) -> Any:
    return median_ms * MS * factor * np.exp(rng.normal(0, SIGMA, n))


def isolation(n: int, factor: float, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    """A request a second over three phases of ``n`` seconds each, less than a third of them asked."""
    each = -(-n // 3)
    step = np.repeat(np.arange(3), each)
    latency = _times(3 * each, 5.0, factor, rng) * np.where(step == 1, 1.4, 1.0)
    latency[rng.random(3 * each) < NEVER] = np.nan
    at = (step * n + np.tile(np.arange(each), 3) * (n / each)) * SECOND
    begins = np.arange(3) * n * SECOND
    samples = {
        "t_ns": np.concatenate([begins, at]).astype(np.int64),
        "instance": np.concatenate([np.zeros(3), np.arange(3 * each)]).astype(np.int32),
        "step": np.concatenate([np.arange(3), step]).astype(np.int32),
        "metric": np.array(["isolation.phase"] * 3 + ["isolation.latency"] * (3 * each)),
        "value": np.concatenate([np.full(3, float(n * SECOND)), latency]),
        "unit": "ns",
    }
    one = np.zeros(1, dtype=np.int64)
    row = _ROW | {"instance": one, "t_intent": one, "t_call": one, "t_ready": one + MS}
    return {"instances": row, "samples": samples}


def management(n: int, factor: float, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Pause and resume by turns, probed."""
    operations = -(-n // 2)
    called = np.repeat(np.arange(operations) * 2 * SECOND, 2) + np.tile([0, SECOND], operations)
    effect = _times(2 * operations, 12.0, factor, rng)
    failed = rng.random(2 * operations) < NEVER
    number = np.arange(2 * operations)
    instances = _ROW | {
        "instance": number,
        "outcome": np.where(failed, "timeout", "ok"),
        "victim": np.repeat(np.arange(operations), 2),
        "t_intent": called,
        "t_call": called,
        "t_ready": np.where(failed, np.nan, called + effect),
    }
    values = {
        "call": _times(2 * operations, 4.0, factor, rng),
        "interruption": _times(operations, 1010.0, 1.0, rng),
        "jitter": _times(operations, 1.0, factor, rng),
        "lost_requests": np.round(_times(operations, 50.0, 1.0, rng) / MS),
    }
    return {"instances": instances, "samples": _noted("management", values, number, number[::2])}


def recovery(n: int, factor: float, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Instances that are killed and come back, some never."""
    fault = np.arange(n) * 100 * SECOND
    stages = [_times(n, median, factor, rng) for median in (100.0, 20.0, 400.0)]
    never = rng.random(n) < NEVER
    passed = [fault + part for part in np.cumsum(stages, axis=0)]
    instances = _ROW | {
        "instance": np.arange(n),
        "outcome": np.where(never, "censored", "ok"),
        "victim": np.arange(n),
        "t_intent": fault,
        "t_fault": fault,
        "t_detect": passed[0],
        "t_act": passed[1],
        "t_ready": np.where(never, np.nan, passed[2]),
        "t_exited": fault + MS,
    }
    lost = np.ceil(np.where(never, DEADLINE_S * 1e3, (passed[2] - fault) / MS) / PERIOD_MS)
    values = {"lost_requests": lost, "outage": lost * PERIOD_MS * MS}
    return {
        "instances": instances,
        "samples": _noted("recovery", values, np.arange(n), np.arange(n)),
    }


def _noted(prefix: str, values: dict[str, Any], each: Any, fewer: Any) -> dict[str, Any]:
    """Samples of several metrics, one after another, of each instance or of fewer."""
    instance = [each if len(v) == len(each) else fewer for v in values.values()]
    return {
        "t_ns": np.concatenate(instance).astype(np.int64) * SECOND,
        "instance": np.concatenate(instance).astype(np.int32),
        "metric": np.concatenate([[f"{prefix}.{name}"] * len(v) for name, v in values.items()]),
        "value": np.concatenate(list(values.values())).astype(np.float64),
        "unit": "ns",
    }


MODELS: dict[str, Callable[[int, float, np.random.Generator], dict[str, dict[str, Any]]]] = {
    "isolation": isolation,
    "management": management,
    "recovery": recovery,
}
PARAMS: dict[str, dict[str, Any]] = {
    "isolation": {"stress": "cpu", "limited": False, "ramp_s": 0.0, "patience_s": 10.0},
    "management": {"verb": "pause", "hold_s": 1.0, "probe_rate_per_s": 1e3 / PERIOD_MS},
    "recovery": {"fault": "kill", "supervision": "engine", "recovery_deadline_s": DEADLINE_S},
}


def main() -> int:
    """Write one dataset."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("experiment", choices=sorted(MODELS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hosts", type=int, default=20)
    given = parser.parse_args()
    begun = time.monotonic()
    write_probes(given.folder, replace(Design(given.experiment, given.rows), hosts=given.hosts))
    size = sum(path.stat().st_size for path in given.folder.rglob("*.parquet"))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = time.monotonic() - begun
    print(f"{given.rows} rows, {size / 2**20:.0f} MiB in {took:.0f} s, peak {peak_mib:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
