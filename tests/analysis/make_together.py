"""Datasets of rollout and failover with known truth: the same measurement on several hosts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from make_trials import SECOND, Made, Where, record_of

from contract.parts import TrialRecord

MIB = 1 << 20
ROW = {"ready_level": "reply", "concurrency": 1, "residents": 0, "resident": False, "warm_up": False}
ROLLOUT = {"fan_out": None, "cache": "image_cold"}
FAILOVER = {"residents": 4, "capacity": 8, "recovery_deadline_s": 20.0, "loss": "kill"}


@dataclass(frozen=True)
class Rollouts:
    """Truth of rollout in one cell: a host takes ``base_s`` and each further one ``each_s`` more."""

    where: Where = field(default_factory=lambda: Where(hosts=("h1", "h2", "h3")))
    fan_out: int | None = None
    size_mib: float = 100.0
    base_s: float = 1.0
    each_s: float = 0.0
    step_s: float = 0.0
    """A host is ready this much later than the one before it."""
    sigma: float = 0.05
    unready: tuple[tuple[int, str], ...] = ()
    """Block and host on which the instance did not become ready."""


def rollouts(truth: Rollouts) -> list[Made]:
    """All trials of one cell of rollout."""
    rng = np.random.default_rng(truth.where.seed)
    params = ROLLOUT | {"fan_out": truth.fan_out} | truth.where.params
    where = Where(**(vars(truth.where) | {"params": params}))
    made = []
    for block in range(where.blocks):
        chosen = where.hosts[: truth.fan_out]
        pulled = truth.base_s + truth.each_s * (len(chosen) - 1)
        pulled *= float(np.exp(rng.normal(0, truth.sigma)))
        for rank, host in enumerate(where.hosts):
            record = _record(where, "rollout", host, block)
            key = {"trial_id": record.trial.trial_id, "attempt": 1, "instance": 0}
            if host not in chosen:
                made.append(Made(record, [key | ROW | _elsewhere()], []))
                continue
            well = (block, host) not in truth.unready
            row = key | ROW | _pulled(pulled, pulled + 0.5 + truth.step_s * rank, well=well)
            made.append(Made(record, [row], _costs(key, "rollout", bytes_wire=truth.size_mib * MIB)))
    return made


@dataclass(frozen=True)
class Failovers:
    """Truth of failover in one cell: h1 is lost, and its instances go to the others in turn."""

    where: Where = field(default_factory=lambda: Where(hosts=("h1", "h2", "h3")))
    detect_s: float = 2.0
    ready_s: float = 0.5
    sigma: float = 0.1
    capacity: int = 8
    alarms: int = 0


def failovers(truth: Failovers) -> list[Made]:
    """All trials of one cell of failover."""
    rng = np.random.default_rng(truth.where.seed)
    params = FAILOVER | {"capacity": truth.capacity} | truth.where.params
    where = Where(**(vars(truth.where) | {"params": params}))
    made = []
    for block in range(where.blocks):
        lost, *survivors = where.hosts
        for host in where.hosts:
            record = _record(where, "failover", host, block)
            rows = [_victim(record, number) for number in range(4)]
            taken = 0
            for number in range(4):
                if host == lost or survivors[number % len(survivors)] != host:
                    rows[number] |= _elsewhere()
                    continue
                placed = number // len(survivors) < truth.capacity - 4
                taken += placed
                rows[number] |= _back(truth, rng) if placed else _stranded()
            key = {"trial_id": record.trial.trial_id, "attempt": 1}
            costs = (
                {"loss": SECOND // 50} if host == lost else {"capacity_left": truth.capacity - 4 - taken}
            )
            costs |= {} if host == lost else {"false_alarms": truth.alarms}
            made.append(Made(record, rows, _costs(key, "failover", **costs)))
    return made


def _record(where: Where, experiment: str, host: str, block: int) -> TrialRecord:
    record = record_of(where, experiment, host, block, {})
    trial = record.trial.model_copy(update={"group": where.hosts})
    return record.model_copy(update={"trial": trial})


def _elsewhere() -> dict[str, Any]:
    return {"outcome": "skipped", "error_class": "elsewhere", "error_text": "words"}


def _pulled(pulled_s: float, ready_s: float, *, well: bool) -> dict[str, Any]:
    pulled, ready = round(pulled_s * SECOND), round(ready_s * SECOND)
    stamps = {"t_intent": 0, "t_pull": 0, "t_pulled": pulled, "t_unpacked": pulled + SECOND // 10}
    if not well:
        return stamps | {"outcome": "failed", "error_class": "exited", "error_text": "it ended"}
    return stamps | {"outcome": "ok", "t_call": pulled + SECOND // 10, "t_ready": ready}


def _victim(record: TrialRecord, number: int) -> dict[str, Any]:
    key = {"trial_id": record.trial.trial_id, "attempt": 1, "instance": 4 + number}
    return key | ROW | {"victim": number, "outcome": "skipped"}


def _back(truth: Failovers, rng: np.random.Generator) -> dict[str, Any]:
    detect = SECOND + round(truth.detect_s * SECOND)
    ready = detect + round(truth.ready_s * SECOND * float(np.exp(rng.normal(0, truth.sigma))))
    stamps = {"t_intent": SECOND, "t_fault": SECOND, "t_detect": detect, "t_act": detect}
    return stamps | {"outcome": "ok", "t_call": detect, "t_ready": ready}


def _stranded() -> dict[str, Any]:
    why = {"error_class": "capacity", "error_text": "no place"}
    return {"outcome": "censored", "t_intent": SECOND, "t_fault": SECOND} | why


def _costs(key: dict[str, Any], experiment: str, **values: float) -> list[dict[str, Any]]:
    known = (
        {"clock_error": 30_000.0} | ({"release_late": 0.0} if experiment == "rollout" else {}) | values
    )
    return [
        key | {"metric": f"{experiment}.{name}", "value": float(value), "unit": "1", "t_ns": 0}
        for name, value in known.items()
    ]


__all__: Sequence[str] = ("Failovers", "Rollouts", "failovers", "rollouts")
