"""Simulated fleets whose needs are known, measured by finite campaigns and then planned for.

A fleet's truth is a handful of numbers. Campaigns draw datasets from them; ``survives`` places the
instances of a demand on hosts, takes domains away and looks whether the rest still holds them. It
shares no formula with the model that is tested: it adds up, divides and compares.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from make_trials import (
    HOST_BYTES,
    MIB,
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
from scipy import special

Z_99, Z_95 = 2.3263478740408408, 1.6448536269514722
BASE_MIB, BASE_SD_MIB = 500.0, 50.0
"""Use of the empty host as make_trials draws it."""
CONCURRENCY = 8
HEADROOM, RISK = 0.15, 0.01


@dataclass(frozen=True)
class Fleet:
    """The truth of one fleet and what is asked of it."""

    each_mib: float = 40.0
    host_sd: float = 0.02
    """Standard deviation of what an instance takes between hosts and blocks, as a share."""
    slo_n: int | None = None
    """Most instances with which probes meet their objective; None: no objective is asked for."""
    start_s: float = 1.0
    """Median time of a start; log-normal with ``start_sd``."""
    start_sd: float = 0.3
    detect_s: float = 5.0
    detect_sd: float = 0.3
    demand: float = 2000.0
    demand_sd: float = 0.1
    domains: int | None = None
    lose: int = 1
    rto_s: float | None = None
    hosts: int = 4
    """Hosts that are measured."""
    blocks: int = 3
    seed: int = 1

    @property
    def starts_per_s(self) -> float:
        """What one host can start: concurrency over the mean of the log-normal."""
        return CONCURRENCY / (self.start_s * math.exp(self.start_sd**2 / 2))

    @property
    def room_mib(self) -> float:
        """Memory of a host less headroom."""
        return HOST_BYTES / MIB * (1 - HEADROOM)

    def holds(self, instances: float) -> bool:
        """Whether a host may hold so many: the objective met, the risk of overload small enough."""
        if self.slo_n is not None and instances > self.slo_n:
            return False
        mean = BASE_MIB + instances * self.each_mib
        sd = math.hypot(BASE_SD_MIB, instances * self.each_mib * self.host_sd)
        return float(special.ndtr((mean - self.room_mib) / sd)) <= RISK

    @property
    def most(self) -> int:
        """Most instances that a host may hold, by counting up."""
        n = 0
        while self.holds(n + 1):
            n += 1
        return n


def demands(fleet: Fleet, number: int, seed: int) -> np.ndarray:
    """Demands that may come."""
    normals = np.random.default_rng([fleet.seed, seed]).normal(size=number)
    return np.ceil(fleet.demand * np.exp(fleet.demand_sd * normals))


def domain_sizes(hosts: int, domains: int) -> list[int]:
    """Hosts dealt out to domains one after the other."""
    sizes = [0] * domains
    for host in range(hosts):
        sizes[host % domains] += 1
    return sizes


def survives(fleet: Fleet, hosts: int, wanted: np.ndarray) -> np.ndarray:
    """Whether so many hosts carry each demand, the worst loss included."""
    domains, lose = fleet.domains, fleet.lose
    if domains is None:
        domains, lose = hosts, 1 if fleet.rto_s is not None else 0
    sizes = sorted(domain_sizes(hosts, domains), reverse=True)
    left = sum(sizes[lose:])
    if left < 1:
        return np.zeros(wanted.size, dtype=bool)
    most = fleet.most
    good = np.ceil(wanted / left) <= most
    if fleet.rto_s is not None and lose:
        lost = wanted * sum(sizes[:lose]) / hosts
        took = (
            fleet.detect_s * math.exp(Z_95 * fleet.detect_sd)
            + lost / left / fleet.starts_per_s
            + fleet.start_s * math.exp(Z_95 * fleet.start_sd)
        )
        good &= took <= fleet.rto_s
    return good


def fewest(fleet: Fleet, confidence: float, wanted: np.ndarray) -> int | None:
    """The true optimum: the fewest hosts that survive with this chance; None if none do."""
    if fleet.most < 1:
        return None
    start = max(1, int(np.median(wanted) / fleet.most * 0.5))
    for hosts in range(start, start + 20_000):
        if survives(fleet, hosts, wanted).mean() >= confidence:
            return hosts
    return None


def measure(fleet: Fleet, folder: Path) -> Path:
    """A campaign on the fleet: climbs, starts and faults, as finite as real ones."""
    where = Where(hosts=tuple(f"h{i}" for i in range(fleet.hosts)), blocks=fleet.blocks, seed=fleet.seed)
    peak, step = climb_of(fleet)
    stairs = Stairs(
        where,
        each_mib=fleet.each_mib,
        block_sigma=fleet.host_sd,
        knee=None if fleet.slo_n is None else round(0.8 * fleet.slo_n),
        growth=0.02 if fleet.slo_n is None else GROWTH / (0.2 * fleet.slo_n),
        peak=peak,
        step=step,
        down=False,
    )
    groups: list[Sequence[Made]] = [density(stairs)]
    if fleet.rto_s is not None:
        shares = (fleet.detect_s / RECOVER_S, 0.2)
        faults = Faults(
            where,
            injections=30,
            median_s=RECOVER_S,
            sigma=fleet.detect_sd,
            shares=shares,
            deadline_s=100_000,
        )
        groups += [recovery(faults), starts(fleet, where)]
    return write_trials(folder, *groups)


GROWTH = 1.0
"""Logarithm by which latency grows from the knee to the objective."""
RECOVER_S = 1000.0
NOISE = 0.1
"""Spread of single probes in make_trials."""


def objective_s(stairs_ms: float = 2.0) -> float:
    """The objective for the 99 % point that is just met at ``slo_n``."""
    return stairs_ms / 1000 * math.exp(Z_99 * NOISE + GROWTH)


def climb_of(fleet: Fleet) -> tuple[int, int]:
    """Peak and step: nearly to the memory's end, or past the objective."""
    by_memory = int((fleet.room_mib - BASE_MIB) / fleet.each_mib)
    top = by_memory if fleet.slo_n is None else min(by_memory, round(1.15 * fleet.slo_n))
    step = max(1, round(0.02 * top))
    return max(step * 6, top // step * step), step


def starts(fleet: Fleet, where: Where) -> list[Made]:
    """Trials of lifecycle: closed batches of ``CONCURRENCY`` starts in flight."""
    params = {"concurrency": CONCURRENCY, "residents": 0, "arrival_rate_per_s": None}
    where = Where(**(vars(where) | {"params": params}))
    rng = np.random.default_rng([fleet.seed, 7])
    found = []
    for host in where.hosts:
        for block in range(where.blocks):
            record = record_of(where, "lifecycle", host, block, {})
            waits = fleet.start_s * np.exp(fleet.start_sd * rng.normal(size=400))
            found.append(Made(record, _batch(record.trial.trial_id, waits), []))
    return found


def _batch(trial_id: str, waits: np.ndarray) -> list[dict[str, Any]]:
    free = np.zeros(CONCURRENCY)
    rows = []
    for i, wait in enumerate(waits):
        slot = int(np.argmin(free))
        begin, free[slot] = free[slot], free[slot] + wait
        row = {"trial_id": trial_id, "attempt": 1, "instance": i, "outcome": "ok"}
        row |= {"ready_level": "reply", "concurrency": CONCURRENCY, "residents": 0}
        row |= {"resident": False, "warm_up": False, "t_intent": round(begin * SECOND)}
        row |= {"t_call": round(begin * SECOND), "t_ready": round(free[slot] * SECOND)}
        rows.append(row | {"t_stop_call": rows_end(free[slot]), "t_gone": rows_end(free[slot]) + MS})
    return rows


def rows_end(at_s: float) -> int:
    """A moment just after."""
    return round(at_s * SECOND) + MS


def demand_text(fleet: Fleet) -> str:
    """The demand file."""
    p95 = fleet.demand * math.exp(Z_95 * fleet.demand_sd)
    lines = [
        "demand: truth",
        f"shapes: [{{name: web, count: {{p50: {fleet.demand}, p95: {p95}}}}}]",
        f"headroom: {{mem: {HEADROOM}}}",
        f"overload_risk: {RISK}",
    ]
    if fleet.slo_n is not None:
        lines.append(f"slo: {{probe_p99: {objective_s() * 1000:.6f}ms}}")
    if fleet.domains is not None:
        lines.append(f"domains: {{count: {fleet.domains}, lose: {fleet.lose}}}")
    if fleet.rto_s is not None:
        lines.append(f"rto: {fleet.rto_s:.6f}s")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Kind:
    """Fleets of one kind, drawn at random."""

    name: str
    slo: bool = False
    domains: bool = False
    rto: bool = False
    sure: bool = field(default=False)

    def fleet(self, seed: int) -> Fleet:
        """One fleet."""
        rng = np.random.default_rng([20_261_125, seed])
        each = float(np.exp(rng.uniform(np.log(15), np.log(120))))
        by_memory = (HOST_BYTES / MIB * (1 - HEADROOM) - BASE_MIB) / each
        start_s, detect_s = float(rng.uniform(3, 15)), float(rng.uniform(2, 20))
        slo_n = round(by_memory * rng.uniform(0.3, 0.8)) if self.slo else None
        domains = int(rng.integers(3, 7)) if self.domains else None
        fleet = Fleet(
            each_mib=each,
            host_sd=float(rng.uniform(0, 0.03)),
            slo_n=slo_n,
            start_s=start_s,
            detect_s=detect_s,
            demand=float(np.exp(rng.uniform(np.log(3000), np.log(30_000)))),
            demand_sd=0.0 if self.sure else float(rng.uniform(0.03, 0.2)),
            domains=domains,
            lose=int(rng.integers(1, 3)) if self.domains else 1,
            hosts=int(rng.integers(2, 5)),
            blocks=int(rng.integers(3, 6)),
            seed=seed,
        )
        if not self.rto:
            return fleet
        if domains is None:
            fleet = replace(fleet, demand=fleet.most * float(rng.uniform(4, 20)))
        # about as long as the hosts for the demand would take to start what is lost: often it binds
        least = detect_s * math.exp(Z_95 * fleet.detect_sd) + start_s * math.exp(Z_95 * fleet.start_sd)
        hosts = fleet.demand / fleet.most
        spread = fleet.lose / domains if domains else 1 / hosts
        anyway = fleet.most * spread / fleet.starts_per_s
        return replace(fleet, rto_s=least + anyway * float(rng.uniform(0.7, 1.5)))


KINDS = (
    Kind("memory"),
    Kind("memory, demand for sure", sure=True),
    Kind("memory, domains", domains=True),
    Kind("objective", slo=True),
    Kind("objective, domains", slo=True, domains=True),
    Kind("RTO, domains", domains=True, rto=True),
    Kind("RTO, single hosts", rto=True),
)
