"""Runs with known truth, held in memory: what two measurements of the same thing look like."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from make_dataset import MS, STAGE_SHARES, Design, Variant, _record, _trial

from analysis.compare.comparison import Comparison, Options, compare
from analysis.compare.selection import parse_selection
from analysis.compare.sides import sides_of
from analysis.dataset import Dataset, Manifest
from contract.parts import trials_table
from contract.tables import schema_of


@dataclass(frozen=True)
class Truth:
    """How hosts, runs and blocks behave. All sigmas are of the logarithm."""

    hosts: int = 4
    blocks: int = 10
    instances: int = 30
    host_sigma: float = 0.1
    run_sigma: float = 0.02
    """How far a host drifts from one run to the next."""
    trend: float = 0.03
    """How far a host drifts within a run, half of it up or down."""
    block_sigma: float = 0.06
    serial: float = 0.0
    """Correlation of neighbouring blocks of a host."""
    pair_sigma: float = 0.03
    """What a block does to one variant alone."""
    within_sigma: float = 0.15
    fails: float = 0.002
    profiles: tuple[str, ...] = ("default",)


class InMemory(Dataset):
    """A dataset whose tables never were files."""

    def __init__(self, tables: dict[str, pa.Table], name: str) -> None:
        self._tables = tables
        super().__init__(Path(name), Manifest(schema_version=1, campaign="truth", files=()))

    def _view(self, table: str, paths: list[str]) -> None:
        self._duckdb.execute("SET threads = 1")
        self._duckdb.register("given", self._tables[table])
        self._duckdb.execute(f"CREATE TABLE {table} AS FROM given")


def run_of(truth: Truth, hosts: np.ndarray, seed: int, effects: dict[str, float]) -> InMemory:
    """One run on hosts with their own speeds; ``effects`` multiply profiles' times to ready."""
    rng = np.random.default_rng(seed)
    variants = [Variant("docker", 100.0, profile=name, fails=truth.fails) for name in truth.profiles]
    design = Design(tuple(variants), blocks=truth.blocks, instances=truth.instances, seed=seed)
    records, parts = [], []
    for host in range(truth.hosts):
        drift = hosts[host] + rng.normal(0, truth.run_sigma)
        slope = rng.normal(0, truth.trend)
        of_block = rng.normal(0, truth.block_sigma)
        for block in range(truth.blocks):
            place = 2 * block / max(1, truth.blocks - 1) - 1
            moment = drift + slope * place + of_block
            fresh = rng.normal(0, truth.block_sigma)
            of_block = truth.serial * of_block + np.sqrt(1 - truth.serial**2) * fresh
            for order, variant in enumerate(variants):
                trial = _trial(design, f"h{host}", block, order, variant, 1)
                record = replace_start(_record(design, trial, variant), seed)
                records.append(record)
                factor = np.exp(moment + rng.normal(0, truth.pair_sigma))
                times = factor * np.exp(rng.normal(0, truth.within_sigma, (2, truth.instances)))
                fails = rng.random(truth.instances) < truth.fails
                ready = times[0] * 100 * MS * effects.get(variant.profile, 1.0)
                parts.append((record.trial.trial_id, f"h{host}", ready, times[1] * 50 * MS, fails))
    tables = {
        "trials": trials_table(records),
        "instances": _instances(parts),
        "samples": _with_partitions(schema_of("samples")).empty_table(),
    }
    return InMemory(tables, f"run-{seed}")


def replace_start(record: Any, seed: int) -> Any:
    """The two runs of a pair begin a day apart."""
    later = record.started_at_ns + seed % 2 * 86_400 * 10**9
    return record.model_copy(update={"started_at_ns": later})


def _instances(parts: list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]) -> pa.Table:
    size = parts[0][2].size
    n = size * len(parts)
    ready, gone, fails = (np.concatenate([part[i] for part in parts]) for i in (2, 3, 4))
    begun = np.tile(np.arange(size) * 150.0 * MS, len(parts))
    stamps = {"t_intent": begun, "t_call": begun + 1000}
    at = begun + 1000
    names = ("t_created", "t_started", "t_beacon", "t_ready")
    for name, share in zip(names, STAGE_SHARES.values(), strict=True):
        at = at + share * (ready - 1000)
        stamps[name] = at
    late = {"t_stop_call": at + MS, "t_gone": at + MS + gone, "t_exited": at + 2 * MS}
    stamps |= late | {"t_reclaimed": at + 3 * MS + gone}
    lost = {"t_beacon", "t_ready", "t_stop_call", "t_gone", "t_exited", "t_reclaimed"}
    columns: dict[str, Any] = {
        "trial_id": np.repeat([part[0] for part in parts], size),
        "host": np.repeat([part[1] for part in parts], size),
        "experiment": ["lifecycle"] * n,
        "attempt": np.ones(n, np.int32),
        "instance": np.tile(np.arange(size, dtype=np.int32), len(parts)),
        "outcome": np.where(fails, "timeout", "ok"),
        "ready_level": ["reply"] * n,
        "concurrency": np.ones(n, np.int32),
        "residents": np.zeros(n, np.int32),
        "resident": np.zeros(n, bool),
        "warm_up": np.zeros(n, bool),
    }
    for name, values in stamps.items():
        mask = fails if name in lost else None
        columns[name] = pa.array(values.astype(np.int64), mask=mask)
    schema = _with_partitions(schema_of("instances"))
    filled = {f.name: columns.get(f.name, pa.nulls(n, f.type)) for f in schema}
    return pa.table(filled, schema=schema)


def _with_partitions(schema: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, pa.field("experiment", pa.string()), pa.field("host", pa.string())])


def compared(datasets: tuple[Dataset, Dataset], a: str = "", b: str = "") -> Comparison:
    """The whole answer on two runs, or on two selections of one."""
    selections = parse_selection([a] if a else [], "--a"), parse_selection([b] if b else [], "--b")
    return compare(sides_of(datasets, selections), Options())


def within_one(truth: Truth, seed: int, effect: float) -> Comparison:
    """Two profiles of one campaign, of which B takes ``effect`` times as long."""
    hosts = np.random.default_rng([seed, 1]).normal(0, truth.host_sigma, truth.hosts)
    two = replace(truth, profiles=("default", "new"))
    with run_of(two, hosts, seed, {"new": effect}) as run:
        return compared((run, run), "profile=default", "profile=new")


def across_two(truth: Truth, seed: int, effect: float) -> Comparison:
    """Two runs on the same hosts, of which B takes ``effect`` times as long."""
    hosts = np.random.default_rng([seed, 1]).normal(0, truth.host_sigma, truth.hosts)
    with (
        run_of(truth, hosts, 2 * seed, {}) as a,
        run_of(truth, hosts, 2 * seed + 1, {"default": effect}) as b,
    ):
        return compared((a, b))


def claims(found: Comparison) -> list[str]:
    """What the answer claims a difference in."""
    words = ("faster", "slower", "better", "worse")
    return [f"{r['metric']} {r['quantile'] or ''}" for r in found.rows if r["verdict"] in words]


def says_slower(found: Comparison) -> bool:
    """Whether it says that the median time to ready of B is longer."""
    return any(
        r["verdict"] == "slower" and (r["metric"], r["quantile"]) == ("e2e", "p50") for r in found.rows
    )
