"""Datasets with known truth, written as the gathering writes them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.parts import TrialRecord, trials_table
from contract.tables import SCHEMA_VERSION, schema_of
from contract.trial import Outcome, Trial, VerdictWord

MS = 1_000_000
STAGE_SHARES = {"create": 0.1, "start": 0.5, "boot": 0.35, "reply": 0.05}
"""How the time to ready is made up, besides queueing."""


@dataclass(frozen=True)
class Variant:
    """One driver or profile with its truth."""

    driver: str
    median_ms: float
    profile: str = "default"
    sigma: float = 0.15
    """Spread of a log-normal latency within a block."""
    fails: float = 0.0
    """Share of attempts that never become ready."""
    delete_ms: float = 50.0
    per_level: float = 0.0
    """Each instance more in flight multiplies the median by 1 + this."""
    emulated: bool = False
    virtual: bool = False
    image: str = "tiny"
    params: dict[str, Any] = field(default_factory=dict)
    on_hosts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Design:
    """What a dataset holds."""

    variants: tuple[Variant, ...]
    hosts: tuple[str, ...] = ("h1",)
    blocks: int = 5
    instances: int = 30
    warm_ups: int = 1
    concurrency: tuple[int, ...] = (1,)
    block_sigma: float = 0.0
    """Spread of the factor that a block puts on everything in it."""
    pair_sigma: float = 0.0
    """Spread of the factor that a block puts on one variant."""
    host_sigma: float = 0.0
    verdict: VerdictWord = "valid"
    reasons: tuple[str, ...] = ()
    outcome: Outcome = "completed"
    facts: dict[str, Any] = field(default_factory=lambda: {"cpu_model": "Model 1", "mem_bytes": 8 << 30})
    seed: int = 1
    experiment: str = "lifecycle"
    error_text: str = "the agent did not speak"
    warm_ups_only: bool = False


def write_dataset(folder: Path, *designs: Design, **manifest: Any) -> Path:
    """Write the trials of all designs as one dataset; keywords override keys of the manifest."""
    records: list[TrialRecord] = []
    tables: dict[tuple[str, str], list[pa.Table]] = {}
    for design in designs:
        rng = np.random.default_rng(design.seed)
        factor = {host: float(np.exp(rng.normal(0, design.host_sigma))) for host in design.hosts}
        for host in design.hosts:
            for record, table in _on_host(design, host, factor[host], rng):
                records.append(record)
                tables.setdefault((design.experiment, host), []).append(table)
    files = [put(folder, "trials/trials.parquet", trials_table(records))]
    for (experiment, host), parts in tables.items():
        place = f"instances/experiment={experiment}/host={host}/data-0.parquet"
        files.append(put(folder, place, pa.concat_tables(parts)))
        place = f"samples/experiment={experiment}/host={host}/data-0.parquet"
        files.append(put(folder, place, schema_of("samples").empty_table()))
    content = manifest_of(records, files) | manifest
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def _on_host(
    design: Design, host: str, host_factor: float, rng: np.random.Generator
) -> list[tuple[TrialRecord, pa.Table]]:
    found = []
    for block in range(design.blocks):
        block_factor = host_factor * float(np.exp(rng.normal(0, design.block_sigma)))
        cells = [(v, level) for level in design.concurrency for v in design.variants]
        for order, (variant, level) in enumerate(cells):
            if variant.on_hosts is not None and host not in variant.on_hosts:
                continue
            trial = _trial(design, host, block, order, variant, level)
            factor = block_factor * float(np.exp(rng.normal(0, design.pair_sigma)))
            factor *= 1 + variant.per_level * (level - 1)
            record = _record(design, trial, variant)
            found.append((record, _instances(design, record, variant, factor, rng)))
    return found


def _trial(design: Design, host: str, block: int, order: int, variant: Variant, level: int) -> Trial:
    standard = {
        "instances": design.instances,
        "concurrency": level,
        "residents": 0,
        "ready": "reply",
        "ready_deadline_s": 30.0,
        "arrival_rate_per_s": None,
        "graceful": False,
    }
    return Trial.model_construct(
        contract=1,
        campaign="known-truth",
        host=host,
        block=block,
        order=order,
        experiment=design.experiment,
        driver=variant.driver,
        profile=variant.profile,
        settings={},
        params=standard | variant.params,
        image=variant.image,
        limits=Trial.model_fields["limits"].default,
        deadline_s=300.0,
        seed=design.seed,
    )


def _record(design: Design, trial: Trial, variant: Variant) -> TrialRecord:
    return TrialRecord.model_construct(
        schema_version=SCHEMA_VERSION,
        trial=trial,
        attempt=1,
        outcome=design.outcome,
        verdict=design.verdict,
        reasons=design.reasons,
        error_class=None,
        error_text=None,
        emulated=variant.emulated,
        virtual=variant.virtual,
        started_at_ns=1_770_000_000_000_000_000 + trial.block * 10**9 + trial.order,
        duration_ns=10**9,
        clock_offset_ns=None,
        clock_error_ns=None,
        facts=design.facts | {"load1": 0.1 * trial.block, f"{variant.driver}_version": "1.2.3"},
        versions={"tonnage": "0.1.0", "kernel": "6.1"},
        tables={},
    )


def _instances(
    design: Design, record: TrialRecord, variant: Variant, factor: float, rng: np.random.Generator
) -> pa.Table:
    warm_ups = design.warm_ups
    n = warm_ups + (0 if design.warm_ups_only else design.instances)
    level = record.trial.params["concurrency"]
    ready = variant.median_ms * MS * factor * np.exp(rng.normal(0, variant.sigma, n))
    fails = rng.random(n) < variant.fails
    begin = np.arange(n) // max(level, 1) * int(variant.median_ms * MS * 1.5)
    stamps: dict[str, Any] = {"t_intent": begin, "t_call": begin + 1000}
    at = begin + 1000.0
    for stage, share in STAGE_SHARES.items():
        at = at + share * (ready - 1000)
        name = {"create": "t_created", "start": "t_started", "boot": "t_beacon", "reply": "t_ready"}
        stamps[name[stage]] = at
    stop = at + MS
    gone = stop + variant.delete_ms * MS * factor * np.exp(rng.normal(0, variant.sigma, n))
    stamps |= {"t_stop_call": stop, "t_gone": gone, "t_exited": stop + MS, "t_reclaimed": gone + 2 * MS}
    late = {name: np.where(fails, None, v.astype(np.int64)) for name, v in stamps.items()}
    for name in ("t_intent", "t_call", "t_created", "t_started"):
        late[name] = stamps[name].astype(np.int64)
    columns: dict[str, Any] = (
        dict.fromkeys(schema_of("instances").names)
        | late
        | {
            "trial_id": [record.trial.trial_id] * n,
            "attempt": np.ones(n, np.int32),
            "instance": np.arange(n, dtype=np.int32),
            "outcome": np.where(fails, "timeout", "ok"),
            "error_class": np.where(fails, "agent_silent", None),
            "error_text": np.where(fails, design.error_text, None),
            "ready_level": ["reply"] * n,
            "concurrency": np.full(n, level, np.int32),
            "residents": np.zeros(n, np.int32),
            "resident": np.zeros(n, bool),
            "warm_up": np.arange(n) < warm_ups,
        }
    )
    filled = {k: [None] * n if v is None else v for k, v in columns.items()}
    return pa.Table.from_pydict(filled, schema=schema_of("instances"))


def put(folder: Path, place: str, table: pa.Table) -> dict[str, Any]:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": place, "rows": table.num_rows, "sha256": checksum}


def manifest_of(records: Sequence[TrialRecord], files: list[dict[str, Any]]) -> dict[str, Any]:
    outcomes: dict[str, int] = {}
    for record in records:
        outcomes[record.outcome] = outcomes.get(record.outcome, 0) + 1
    return {
        "schema_version": SCHEMA_VERSION,
        "campaign": "known-truth",
        "tonnage": "0.1.0",
        "created_at": "2026-11-25T03:00:00Z",
        "planned": len(records),
        "gathered": len(records),
        "outcomes": outcomes,
        "missing": [],
        "files": files,
        "hosts": sorted({record.trial.host for record in records}),
        "campaign_file": "campaign: known-truth\ndescription: Seeded models with known medians.\n",
        "rerun": "tonnage run campaign.yaml",
    }


def pair(median_a_ms: float, median_b_ms: float, **design: Any) -> Design:
    """A design with two variants, process and docker."""
    return replace(Design((Variant("process", median_a_ms), Variant("docker", median_b_ms))), **design)
