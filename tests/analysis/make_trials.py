"""Datasets of density and recovery with known truth, written as the gathering writes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from make_dataset import MS, manifest_of, put

from contract.parts import TrialRecord, trials_table
from contract.tables import SCHEMA_VERSION, schema_of, to_table
from contract.trial import Outcome, Trial, VerdictWord

MIB = 1 << 20
SECOND = 10**9
HOST_BYTES = 8 << 30


@dataclass(frozen=True)
class Made:
    """One trial: its record and rows."""

    record: TrialRecord
    instances: list[dict[str, Any]]
    samples: list[dict[str, Any]]


@dataclass(frozen=True)
class Where:
    """What is common to the trials of one cell."""

    driver: str = "docker"
    profile: str = "default"
    hosts: tuple[str, ...] = ("h1",)
    blocks: int = 5
    outcome: Outcome = "completed"
    verdict: VerdictWord = "valid"
    reasons: tuple[str, ...] = ()
    emulated: bool = False
    virtual: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    duration_s: float = 1000.0


def write_trials(folder: Path, *groups: Sequence[Made], **manifest: Any) -> Path:
    """Write trials as one dataset; keywords override keys of the manifest."""
    made = [one for group in groups for one in group]
    records = [one.record for one in made]
    files = [put(folder, "trials/trials.parquet", trials_table(records))]
    places = {(r.trial.experiment, r.trial.host) for r in records}
    for experiment, host in sorted(places):
        here = [
            m for m in made if (m.record.trial.experiment, m.record.trial.host) == (experiment, host)
        ]
        for table in ("instances", "samples"):
            rows = [row for one in here for row in getattr(one, table)]
            filled = [dict.fromkeys(schema_of(table).names) | row for row in rows]
            place = f"{table}/experiment={experiment}/host={host}/data-0.parquet"
            files.append(put(folder, place, to_table(table, filled)))
    content = manifest_of(records, files) | manifest
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def record_of(
    where: Where, experiment: str, host: str, block: int, facts: dict[str, Any]
) -> TrialRecord:
    trial = Trial.model_construct(
        contract=1,
        campaign="known-truth",
        host=host,
        block=block,
        order=0,
        experiment=experiment,
        driver=where.driver,
        profile=where.profile,
        settings={"seed": where.seed},
        params=where.params,
        image="tiny",
        limits=Trial.model_fields["limits"].default,
        deadline_s=3600.0,
        seed=where.seed,
    )
    return TrialRecord.model_construct(
        schema_version=SCHEMA_VERSION,
        trial=trial,
        attempt=1,
        outcome=where.outcome,
        verdict=where.verdict,
        reasons=where.reasons,
        error_class=None,
        error_text=None,
        emulated=where.emulated,
        virtual=where.virtual,
        started_at_ns=1_770_000_000_000_000_000 + block * SECOND,
        duration_ns=round(where.duration_s * SECOND),
        clock_offset_ns=None,
        clock_error_ns=None,
        facts={"cpu_model": "Model 1", "mem_bytes": HOST_BYTES} | facts,
        versions={"tonnage": "0.1.0", "kernel": "6.1"},
        tables={},
    )


@dataclass(frozen=True)
class Stairs:
    """Truth of density in one cell."""

    where: Where = field(default_factory=Where)
    each_mib: float = 2.0
    """Host memory per instance."""
    noise_mib: float = 1.0
    block_sigma: float = 0.0
    """Spread of what an instance takes, between blocks."""
    knee: int | None = None
    """From here on latency grows by ``growth`` per instance."""
    growth: float = 0.02
    latency_ms: float = 2.0
    lost_from: int | None = None
    """From this many instances on a tenth of the probes is lost."""
    step: int = 10
    peak: int = 200
    down: bool = True
    left_mib: float = 3.0
    """What stays after the descent."""
    stop: str = "count"
    cpu_each: float = 0.0005
    probes: int = 200
    """Requests at every step."""
    without: tuple[str, ...] = ()
    """Metrics that were not sampled."""
    missing_steps: tuple[int, ...] = ()
    """Steps of which nothing but the number of instances is known."""
    failed_early: bool = False


def density(stairs: Stairs) -> list[Made]:
    """All trials of one cell of density."""
    standard = {
        "max_instances": stairs.peak,
        "step": stairs.step,
        "slo_p99_ms": None,
        "memory_floor_share": 0.1,
        "descend": stairs.down,
    }
    where = stairs.where
    where = Where(**(vars(where) | {"params": standard | where.params}))
    rng = np.random.default_rng(where.seed)
    return [
        _stairs(stairs, where, host, block, rng) for host in where.hosts for block in range(where.blocks)
    ]


def _stairs(stairs: Stairs, where: Where, host: str, block: int, rng: np.random.Generator) -> Made:
    found = {
        "stop_rule": stairs.stop,
        "stop_text": "words",
        "peak_instances": stairs.peak,
        "limiting": "memory" if stairs.stop == "memory_floor" else "none",
        "knee": "censored",
        "memory_floor_bytes": HOST_BYTES // 10,
        "deaths": 0,
        "unsettled_steps": 0,
        "hidden_processes": 0,
    }
    facts = {} if stairs.failed_early else {"findings": {"density": found}}
    record = record_of(where, "density", host, block, facts)
    key = {"trial_id": record.trial.trial_id, "attempt": 1}
    each = stairs.each_mib * float(np.exp(rng.normal(0, stairs.block_sigma)))
    ups = list(range(0, stairs.peak + 1, stairs.step))
    climb = [(n, 1) for n in ups] + [(n, -1) for n in reversed(ups[:-1]) if stairs.down]
    samples: list[dict[str, Any]] = []
    base = 500 + 50 * float(rng.normal())
    for step, (n, direction) in enumerate([] if stairs.failed_early else climb):
        left = stairs.left_mib if direction < 0 else 0.0
        mem = (base + each * n + left) * MIB
        at = {"step": step, "t_ns": step * 10 * SECOND}
        samples += [
            key | at | sample
            for sample in _step(stairs, (n, direction, mem), rng)
            if sample["metric"].removeprefix("density.") not in stairs.without
            if step not in stairs.missing_steps or sample["metric"] == "density.instances"
        ]
    return Made(record, _rows_of(stairs, key), samples)


def _step(
    stairs: Stairs, here: tuple[int, int, float], rng: np.random.Generator
) -> list[dict[str, Any]]:
    n, direction, mem = here
    found = [
        _sample("instances", n, "1"),
        _sample("direction", direction, "1"),
        _sample("cpu_busy", 0.05 + stairs.cpu_each * n + 0.001 * rng.normal(), "cpus"),
        _sample("settle", 2 * SECOND, "ns"),
        _sample("asked", stairs.step if n and direction > 0 else 0, "1"),
        _sample("start_failures", 0, "1"),
        _sample("instances_pss", 0.7 * stairs.each_mib * MIB * n, "bytes"),
        _sample("instances_cgroup", 0.5 * stairs.each_mib * MIB * n, "bytes"),
    ]
    for _ in range(5):
        noise = stairs.noise_mib * MIB * rng.normal()
        found.append(_sample("mem_used", mem + noise, "bytes"))
        found.append(_sample("pss", 0.9 * mem + noise, "bytes"))
    beyond = max(0, n - (stairs.knee if stairs.knee is not None else n))
    for i in range(stairs.probes if n else 0):
        lost = stairs.lost_from is not None and n >= stairs.lost_from and i % 10 == 0
        ns = stairs.latency_ms * MS * np.exp(rng.normal(0, 0.1) + stairs.growth * beyond)
        found.append(_sample("probe", None if lost else float(ns), "ns") | {"instance": i % max(1, n)})
    return found


def _rows_of(stairs: Stairs, key: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        key
        | {"instance": i, "outcome": "skipped" if stairs.failed_early else "ok", "ready_level": "reply"}
        | {"concurrency": 1, "residents": 0, "resident": False, "warm_up": False}
        | (
            {}
            if stairs.failed_early
            else {"t_intent": i * MS, "t_call": i * MS, "t_ready": (i + 2) * MS}
        )
        for i in range(stairs.peak)
    ]


def _sample(metric: str, value: float | None, unit: str) -> dict[str, Any]:
    return {"metric": f"density.{metric}", "value": value, "unit": unit}


@dataclass(frozen=True)
class Faults:
    """Truth of recovery in one cell."""

    where: Where = field(default_factory=Where)
    fault: str = "kill"
    supervision: str = "engine"
    injections: int = 10
    median_s: float = 2.0
    """Median time to recover, of a log-normal distribution."""
    sigma: float = 0.5
    block_sigma: float = 0.0
    never: float = 0.0
    """Share that does not recover at all."""
    deadline_s: float = 60.0
    shares: tuple[float, float] = (0.1, 0.2)
    """Of the time to recover: until detected, and from there until acted."""
    dies: bool = True
    spoilt: int = 0
    """Injections that ended with ``spoilt_by`` instead of a result."""
    spoilt_by: str = "internal"
    skipped: int = 0


def recovery(faults: Faults) -> list[Made]:
    """All trials of one cell of recovery."""
    standard = {
        "fault": faults.fault,
        "supervision": faults.supervision,
        "injections": faults.injections,
        "recovery_deadline_s": faults.deadline_s,
    }
    where = Where(**(vars(faults.where) | {"params": standard | faults.where.params}))
    rng = np.random.default_rng(where.seed)
    return [
        _faults(faults, where, host, block, rng) for host in where.hosts for block in range(where.blocks)
    ]


def _faults(faults: Faults, where: Where, host: str, block: int, rng: np.random.Generator) -> Made:
    record = record_of(where, "recovery", host, block, {})
    key = {"trial_id": record.trial.trial_id, "attempt": 1}
    factor = float(np.exp(rng.normal(0, faults.block_sigma)))
    common = {"ready_level": "reply", "concurrency": 1, "residents": 1, "warm_up": False}
    resident = {"instance": 0, "outcome": "ok", "resident": True, "t_intent": 0, "t_ready": MS}
    rows, samples = [key | common | resident], []
    for i in range(1, faults.injections + 1):
        row = common | {"instance": i, "resident": False, "victim": 0}
        begin = i * 100 * MS
        took = faults.median_s * SECOND * factor * float(np.exp(rng.normal(0, faults.sigma)))
        if rng.random() < faults.never:
            took = float("inf")
        rows.append(key | row | _injection(faults, i, begin, took))
        if i > faults.skipped + faults.spoilt:
            out = min(took, faults.deadline_s * SECOND)
            at = {"t_ns": begin, "instance": i}
            samples.append(key | at | {"metric": "recovery.outage", "value": out, "unit": "ns"})
            lost = {"metric": "recovery.lost_requests", "value": out / SECOND * 50, "unit": "1"}
            samples.append(key | at | lost)
    return Made(record, rows, samples)


def _injection(faults: Faults, i: int, begin: int, took: float) -> dict[str, Any]:
    if i <= faults.skipped:
        return {"outcome": "skipped", "error_class": "stopped", "t_intent": begin}
    stamps = {"t_intent": begin, "t_fault": begin + 1000}
    if i <= faults.skipped + faults.spoilt:
        return stamps | {"outcome": "failed", "error_class": faults.spoilt_by, "error_text": "words"}
    if faults.dies:
        stamps["t_exited"] = begin + MS
    if took > faults.deadline_s * SECOND:
        return stamps | {"outcome": "censored", "error_class": "not_recovered"}
    detect, act = (round(begin + 1000 + took * share) for share in np.cumsum(faults.shares))
    ready = {"t_ready": round(begin + 1000 + took), "outcome": "ok"}
    if faults.supervision == "none":
        return stamps | ready
    return stamps | ready | {"t_detect": detect, "t_act": act}
