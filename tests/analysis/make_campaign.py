"""A whole campaign on many hosts with known truth: lifecycle, density, recovery and deployment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from make_trials import (
    MS,
    SECOND,
    Faults,
    Made,
    Stairs,
    Where,
    density,
    record_of,
    recovery,
    write_trials,
)

MIB = 1 << 20
DRIVERS = {"process": 3.0, "docker": 170.0, "containerd": 120.0}
"""Median time to ready of every variant, ms."""
LIFECYCLE = {"concurrency": 1, "residents": 0, "ready": "reply", "ready_deadline_s": 30.0}
ROW = {"ready_level": "reply", "concurrency": 1, "residents": 0, "resident": False, "warm_up": False}


@dataclass(frozen=True)
class Truth:
    """What the campaign is made of."""

    hosts: tuple[str, ...] = ("h1", "h2", "h3")
    blocks: int = 10
    instances: int = 30
    drivers: Mapping[str, float] = field(default_factory=lambda: DRIVERS)
    concurrency: tuple[int, ...] = (1,)
    experiments: tuple[str, ...] = ("lifecycle",)
    sigma: float = 0.15
    """Spread of a log-normal time within a block."""
    block_sigma: float = 0.02
    host_sigma: float = 0.02
    slow: Mapping[str, float] = field(default_factory=dict)
    """Factor of single hosts on everything."""
    slow_with: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Factor of single hosts on a single driver."""
    drift: float = 0.0
    """By how much everything is slower in the last block than in the first."""
    first_block: float = 1.0
    first_instance: float = 1.0
    big: tuple[str, ...] = ()
    """Hosts that the operator labels as class big; the others are small. Empty: no labels."""
    peak: int = 40
    """Instances at the top of every staircase."""
    probes: int = 20
    seed: int = 1


def write_campaign(folder: Path, truth: Truth, **manifest: Any) -> Path:
    """Write the campaign as one dataset."""
    rng = np.random.default_rng(truth.seed)
    makers = {"lifecycle": _lifecycle, "density": _density, "recovery": _recovery}
    makers["deployment"] = _deployment
    spread = np.exp(rng.normal(0, truth.host_sigma, len(truth.hosts)))
    made = []
    for host, factor in zip(truth.hosts, spread, strict=True):
        own = float(factor) * truth.slow.get(host, 1.0)
        for experiment in truth.experiments:
            made += [_labelled(truth, host, m) for m in makers[experiment](truth, host, own, rng)]
    return write_trials(folder, made, **manifest)


def _labelled(truth: Truth, host: str, made: Made) -> Made:
    labels = {"labels": {"class": "big" if host in truth.big else "small"}} if truth.big else {}
    facts = made.record.facts | {"cpu_count": 4} | labels
    return replace(made, record=made.record.model_copy(update={"facts": facts}))


def _factors(
    truth: Truth, host: str, own: float, rng: np.random.Generator
) -> Iterator[tuple[int, str, float]]:
    """Block, driver, and the factor on everything in it."""
    for block in range(truth.blocks):
        moved = (1 + truth.drift) ** (block / max(1, truth.blocks - 1))
        moved *= truth.first_block if block == 0 else 1.0
        for driver in truth.drivers:
            noise = float(np.exp(rng.normal(0, truth.block_sigma)))
            yield block, driver, own * moved * noise * truth.slow_with.get((host, driver), 1.0)


def _lifecycle(truth: Truth, host: str, own: float, rng: np.random.Generator) -> Iterator[Made]:
    for block, driver, factor in _factors(truth, host, own, rng):
        for level in truth.concurrency:
            where = Where(driver, params=LIFECYCLE | {"concurrency": level}, seed=truth.seed)
            record = record_of(where, "lifecycle", host, block, {})
            key = {"trial_id": record.trial.trial_id, "attempt": 1, "outcome": "ok"}
            median = truth.drivers[driver] * MS * factor * (1 + 0.05 * (level - 1))
            ready = median * np.exp(rng.normal(0, truth.sigma, truth.instances))
            ready[0] *= truth.first_instance
            gone = 50 * MS * factor * np.exp(rng.normal(0, truth.sigma, truth.instances))
            rows = [
                key | ROW | {"instance": i, "concurrency": level} | _life(i * SECOND, took, left)
                for i, (took, left) in enumerate(zip(ready, gone, strict=True))
            ]
            yield Made(record, rows, [])


def _life(begin: int, took: float, left: float) -> dict[str, Any]:
    shares = {"t_created": 0.1, "t_started": 0.6, "t_beacon": 0.95, "t_ready": 1.0}
    stamps = {name: begin + round(took * share) for name, share in shares.items()}
    stop = begin + round(took) + MS
    after = {"t_stop_call": stop, "t_exited": stop + MS, "t_gone": stop + round(left)}
    after["t_reclaimed"] = after["t_gone"] + MS
    return {"t_intent": begin, "t_call": begin + 1000} | stamps | after


def _deployment(truth: Truth, host: str, own: float, rng: np.random.Generator) -> Iterator[Made]:
    for block, driver, factor in _factors(truth, host, own, rng):
        for cache, size in (("image_cold", 100.0), ("base_cached", 4.0)):
            where = Where(driver, params={"cache": cache}, seed=truth.seed)
            record = record_of(where, "deployment", host, block, {})
            key = {"trial_id": record.trial.trial_id, "attempt": 1}
            rows, samples = [], []
            for i in range(3):
                pull = round((5 + size) * 10 * MS * factor * float(np.exp(rng.normal(0, truth.sigma))))
                begin = i * 100 * SECOND
                pulls = {"t_pull": begin, "t_pulled": begin + pull, "t_unpacked": begin + pull + 9 * MS}
                life = _life(begin + pull + 9 * MS, truth.drivers[driver] * MS * factor, 50.0 * MS)
                rows.append(
                    key | ROW | {"instance": i, "outcome": "ok"} | life | pulls | {"t_intent": begin}
                )
                for name, value in (("bytes_wire", size), ("bytes_disk", 2.5 * size)):
                    at = {"instance": i, "metric": f"deployment.{name}", "t_ns": begin}
                    samples.append(key | at | {"value": value * MIB, "unit": "bytes"})
            yield Made(record, rows, samples)


def _density(truth: Truth, host: str, own: float, rng: np.random.Generator) -> Iterator[Made]:
    for place, (driver, median) in enumerate(truth.drivers.items()):
        factor = own * truth.slow_with.get((host, driver), 1.0)
        where = Where(driver, hosts=(host,), blocks=truth.blocks, seed=int(rng.integers(1 << 30)))
        where = replace(where, params={"slo_p99_ms": 10.0})
        each = 2.0 * (1 + place) * factor
        yield from density(
            Stairs(
                where,
                each_mib=each,
                latency_ms=1 + median / 100,
                step=10,
                peak=truth.peak,
                probes=truth.probes,
            )
        )


def _recovery(truth: Truth, host: str, own: float, rng: np.random.Generator) -> Iterator[Made]:
    for driver, median in truth.drivers.items():
        factor = own * truth.slow_with.get((host, driver), 1.0)
        for fault in ("kill", "hang"):
            where = Where(driver, hosts=(host,), blocks=truth.blocks, seed=int(rng.integers(1 << 30)))
            yield from recovery(
                Faults(
                    where, fault=fault, median_s=(1 + median / 100) * factor, injections=5, never=0.02
                )
            )
