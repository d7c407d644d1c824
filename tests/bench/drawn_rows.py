"""Datasets of hundreds of millions of instance rows, drawn by the model of the simulated driver.

Started by hand: `PYTHONPATH=.:tests/analysis python tests/bench/drawn_rows.py FOLDER --rows 100000000`.

Medians and spreads are those of ``SimulatedSettings``, and so is the formula: all stages of the way up
take their medians times X·B·H, where X is log-normal and drawn per instance, B per trial and H per host;
the way down has an X of its own. Instances come one after another. Two things are added that virtual
time does not have, so that columns are as hard to compress as real ones: some microseconds between
intent and call, and as many between ready and stop call. Files are those of the gathering: one per host,
row groups of its size, its manifest. Beside the lifecycle rows there is a little of density, recovery
and deployment, so that every part of a report has something to say.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from make_campaign import Truth, write_campaign
from make_dataset import manifest_of

from contract.parts import TrialRecord, trials_table
from contract.tables import SCHEMA_VERSION, schema_of
from contract.trial import Trial
from orchestrator.compact import CompactFile, described, place_of
from workers.engines.simulated_truth import SimulatedSettings

EXPERIMENT = "lifecycle"
MS = 1_000_000
MOST_OF_A_TRIAL = 100_000
"""More instances no campaign may ask of one trial."""
READY_DEADLINE_MS = 30_000.0
LATE_MS = 0.02
"""Mean of what the harness itself loses between two stamps."""
_TIMEOUT_S = 3600
_UP = ("t_created", "t_started", "t_beacon", "t_ready")


@dataclass(frozen=True)
class Design:
    """How many rows, and of what."""

    rows: int
    hosts: int = 20
    blocks: int = 20
    profiles: tuple[tuple[str, float], ...] = (("small", 1.0), ("medium", 1.25), ("large", 2.0))
    """Name, and what everything takes more than by the driver's defaults."""
    host_sigma: float = 0.05
    block_sigma: float = 0.03
    silent_share: float = 0.001
    failure_share: float = 0.002
    others: bool = True
    """Whether there are trials of other experiments."""
    seed: int = 1

    @property
    def trials(self) -> int:
        """Trials of lifecycle."""
        return self.hosts * self.blocks * len(self.profiles)

    @property
    def instances(self) -> int:
        """Rows of each trial, so that there are at least ``rows`` in all."""
        return -(-self.rows // self.trials)

    def names(self) -> list[str]:
        """Names of the hosts."""
        return [f"h{number:04}" for number in range(1, self.hosts + 1)]


def write_rows(folder: Path, design: Design) -> Path:
    """Write the dataset, as many hosts at a time as there are processors."""
    if design.instances > MOST_OF_A_TRIAL:
        raise ValueError(f"{design.instances} instances per trial: take more hosts or blocks")
    folder.mkdir(parents=True)
    jobs = [(folder, design, number) for number in range(design.hosts)]
    files = [file for found in _written(jobs, design.rows) for file in found]
    records = [record for host in design.names() for record in _records(design, host)]
    trials = trials_table(records)
    if design.others:
        more, found = _others(folder, design)
        trials, files = pa.concat_tables([trials, more]), files + found
    target = folder / "trials/trials.parquet"
    target.parent.mkdir()
    pq.write_table(trials, target, compression="zstd")
    counted = {"planned": len(trials), "gathered": len(trials), "outcomes": {"completed": len(trials)}}
    content = manifest_of(records, [described(target, folder), *files]) | counted
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


_Job = tuple[Path, Design, int]


def _written(jobs: list[_Job], rows: int) -> Iterator[list[dict[str, Any]]]:
    if rows < 300_000:  # a process takes longer to start than this to draw
        yield from map(_write_host, jobs)
        return
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_host, jobs, timeout=_TIMEOUT_S)


def _write_host(job: _Job) -> list[dict[str, Any]]:
    """All lifecycle rows of one host: its file, as the manifest lists it."""
    folder, design, number = job
    host = design.names()[number]
    rng = np.random.default_rng([design.seed, number])
    slower = float(np.exp(rng.normal(0, design.host_sigma)))
    path = place_of(folder, "instances", EXPERIMENT, host)
    with CompactFile(path, "instances") as file:
        for record in _records(design, host):
            factor = slower * dict(design.profiles)[record.trial.profile]
            factor *= float(np.exp(rng.normal(0, design.block_sigma)))
            file.append(_instances(design, record, factor, rng))
    return [described(path, folder)]


def _records(design: Design, host: str) -> list[TrialRecord]:
    return [
        _record(design, host, block, order)
        for block in range(design.blocks)
        for order in range(len(design.profiles))
    ]


def _record(design: Design, host: str, block: int, order: int) -> TrialRecord:
    params = {"instances": design.instances, "concurrency": 1, "residents": 0, "ready": "reply"}
    trial = Trial.model_construct(
        contract=1,
        campaign="drawn-rows",
        host=host,
        block=block,
        order=order,
        experiment=EXPERIMENT,
        driver="docker",  # verdicts would be withheld from what says that it is simulated
        profile=design.profiles[(order + block) % len(design.profiles)][0],
        settings={},
        params=params | {"ready_deadline_s": READY_DEADLINE_MS / 1e3, "graceful": False},
        image="tiny",
        limits=Trial.model_fields["limits"].default,
        deadline_s=86_400.0,
        seed=design.seed,
    )
    return TrialRecord.model_construct(
        schema_version=SCHEMA_VERSION,
        trial=trial,
        attempt=1,
        outcome="completed",
        verdict="valid",
        reasons=(),
        error_class=None,
        error_text=None,
        emulated=False,
        virtual=False,
        started_at_ns=1_770_000_000_000_000_000 + (block * 10 + order) * 10**9,
        duration_ns=10**9,
        clock_offset_ns=None,
        clock_error_ns=None,
        facts={"cpu_model": "Model 1", "cpu_count": 4, "mem_bytes": 8 << 30},
        versions={"tonnage": "0.1.0", "kernel": "6.1"},
        tables={},
    )


def _instances(design: Design, record: TrialRecord, factor: float, rng: np.random.Generator) -> pa.Table:
    """The rows of one trial."""
    n = design.instances
    fate = rng.random(n)
    refused = fate < design.failure_share
    silent = ~refused & (fate < design.failure_share + design.silent_share)
    stamps, ok = _stamps(factor, (refused, silent), rng), ~(refused | silent)
    text = pa.array(["the engine refused to start the instance", "the agent did not speak"])
    cause = pa.array(np.where(refused, 0, 1).astype(np.int32), mask=ok)
    named = pa.array(["engine", "agent_silent"])
    outcome = pa.array(["ok", "failed", "timeout"])
    told = np.where(refused, 1, np.where(silent, 2, 0)).astype(np.int32)
    columns: dict[str, Any] = stamps | {
        "trial_id": _constant(record.trial.trial_id, pa.string(), n),
        "attempt": _constant(1, pa.int32(), n),
        "instance": pa.array(np.arange(n, dtype=np.int32)),
        "outcome": outcome.take(pa.array(told)),
        "error_class": named.take(cause),
        "error_text": text.take(cause),
        "ready_level": _constant("reply", pa.string(), n),
        "concurrency": _constant(1, pa.int32(), n),
        "residents": _constant(0, pa.int32(), n),
        "resident": _constant(False, pa.bool_(), n),
        "warm_up": _constant(False, pa.bool_(), n),
    }
    schema = schema_of("instances")
    arrays = [columns.get(f.name, _constant(None, f.type, n)) for f in schema]
    return pa.Table.from_arrays(
        [a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema
    )


def _constant(value: Any, kind: pa.DataType, n: int) -> pa.Array:
    return pa.nulls(n, kind) if value is None else pa.repeat(pa.scalar(value, kind), n)


def _stamps(factor: float, fate: tuple[Any, Any], rng: np.random.Generator) -> dict[str, pa.Array]:
    """Every stamp of every instance, ns; null where its fate lets it not come so far."""
    truth = SimulatedSettings()
    refused, silent = fate
    n = refused.size
    up, down = (factor * np.exp(rng.normal(0, truth.sigma, n)) for _ in range(2))
    late = rng.exponential(LATE_MS, (2, n))
    medians = np.array([truth.create_ms, truth.start_ms, truth.boot_ms, truth.reply_ms])
    passed = late[0] + np.cumsum(medians)[:, None] * up
    stop = np.where(silent, READY_DEADLINE_MS, np.where(refused, passed[1], passed[3])) + late[1]
    after = {
        "t_exited": stop + truth.stop_ms * down,
        "t_gone": stop + (truth.stop_ms + truth.remove_ms) * down,
        "t_reclaimed": stop + (truth.stop_ms + truth.remove_ms + truth.reclaim_ms) * down,
    }
    begin = np.concatenate([[0.0], np.cumsum(after["t_reclaimed"])[:-1]])
    never = {"t_started": refused, "t_beacon": refused | silent, "t_ready": refused | silent}
    every = {"t_intent": np.zeros(n), "t_call": late[0], "t_stop_call": stop}
    every |= dict(zip(_UP, passed, strict=True)) | after
    return {
        name: pa.array(((begin + at) * MS).astype(np.int64), mask=never.get(name))
        for name, at in every.items()
    }


def _others(folder: Path, design: Design) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Trials and files of the other experiments, on some of the hosts."""
    made = folder / "others"
    made.mkdir()
    truth = Truth(
        hosts=tuple(design.names()[:4]), blocks=5, experiments=("density", "recovery", "deployment")
    )
    write_campaign(made, truth)
    trials = pq.read_table(made / "trials/trials.parquet")
    listed = json.loads((made / "manifest.json").read_text())["files"]
    files = [file for file in listed if not file["path"].startswith("trials/")]
    for file in files:
        target = folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        (made / file["path"]).replace(target)
    shutil.rmtree(made)
    return trials, files


def main() -> int:
    """Write one dataset."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hosts", type=int, default=20)
    given = parser.parse_args()
    begun = time.monotonic()
    write_rows(given.folder, replace(Design(given.rows), hosts=given.hosts))
    size = sum(path.stat().st_size for path in given.folder.rglob("*.parquet"))
    print(f"{given.rows} rows, {size / 2**30:.2f} GiB in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
