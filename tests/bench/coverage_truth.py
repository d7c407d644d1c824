"""How often intervals that say 95 % hold the truth, over campaigns of the simulated driver's model.

Started by hand: `python tests/bench/coverage_truth.py --campaigns 500 --json coverage.json`. Every
interval is asked of the very function that the tables call. A row says in how many campaigns there was
an interval at all (else the tables print n/a), in how many of these it held the truth, how often it lay
wholly below it, and how wide it was.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from drawn_campaigns import (
    Design,
    injections,
    staircases,
    times_to_ready,
    true_downtime_ms,
    true_quantile_ms,
)

from analysis.statistics.blocks import blocked_sample
from analysis.statistics.comparison import block_medians, paired_ratio
from analysis.statistics.knees import latency_knee_of, limit_of
from analysis.statistics.proportions import wilson
from analysis.statistics.quantiles import estimate_quantile
from analysis.statistics.slopes import slope_of
from analysis.statistics.survival import restricted_mean
from analysis.statistics.usl import Load, scaling_of
from workers.engines.simulated_truth import SimulatedSettings

SEED = 20_261_125
EFFECT = 1.1
STEPS = tuple(range(0, 121, 10))
KNEE = 60

DESIGNS = (
    *(Design("standard", block_sigma=s) for s in (0.0, 0.05, 0.1)),
    *(Design("smoke", blocks=3, size=5, block_sigma=s) for s in (0.0, 0.05, 0.1)),
    *(Design("4 hosts", blocks=5, size=10, hosts=4, host_sigma=0.2, block_sigma=s) for s in (0.0, 0.1)),
)
SIMULATED = SimulatedSettings(knee_instances=KNEE, knee_rise=1, reply_sigma=0.2, stuck_share=0.02)
DEADLINE_MS = 10_000.0
"""Of recoveries."""


@dataclass(frozen=True)
class Case:
    """One kind of interval under one design: ``draw`` gives (low, high), or (None, None)."""

    what: str
    design: Design
    truth: float
    draw: Callable[[np.random.Generator], tuple]


@dataclass(frozen=True)
class Row:
    """What became of many campaigns."""

    what: str
    design: str
    hosts: int
    blocks: int
    size: int
    block_sigma: float
    truth: float
    campaigns: int
    given: int
    """Campaigns with an interval."""
    held: int
    below: int
    """Of the misses, intervals that lie wholly below the truth."""
    width: float | None
    """Median width, as a share of the truth."""

    @property
    def coverage(self):
        return self.held / self.given if self.given else None


def run(case: Case, campaigns: int) -> Row:
    """Draw the campaigns of a case, each from a seed of its own, and count."""
    found = []
    for number in range(campaigns):
        low, high = case.draw(np.random.default_rng([SEED, number]))
        if low is not None and high is not None:
            found.append((low, high))
    ends = np.array(found, dtype=float).reshape(-1, 2)
    held = (ends[:, 0] <= case.truth) & (case.truth <= ends[:, 1])
    width = float(np.median(ends[:, 1] - ends[:, 0]) / case.truth) if len(ends) else None
    d = case.design
    shape = d.name, d.hosts, d.blocks, d.size, d.block_sigma
    below = int((ends[:, 1] < case.truth).sum())
    return Row(case.what, *shape, case.truth, campaigns, len(ends), int(held.sum()), below, width)


def cases(designs=DESIGNS, truth=SIMULATED) -> list[Case]:
    """Everything that has to hold, under every design."""
    return [case for design in designs for make in MAKERS for case in make(design, truth)]


def _medians(design, truth):
    for p, name in ((0.5, "median"), (0.9, "p90")):

        def draw(rng, p=p):
            some = times_to_ready(truth, design, rng)
            found = estimate_quantile(blocked_sample(some.values, some.block, some.host), p)
            return found.low, found.high

        yield Case(name, design, true_quantile_ms(truth, design, p), draw)


def _ratios(design, truth):
    slower = truth.model_copy(
        update={k: EFFECT * getattr(truth, k) for k in ("create_ms", "start_ms", "boot_ms", "reply_ms")}
    )

    def draw(rng):
        sides = [times_to_ready(t, design, rng) for t in (slower, truth)]
        samples = [blocked_sample(s.values, s.block, s.host) for s in sides]
        found = paired_ratio(*(block_medians(s, rng) for s in samples), rng)
        return found.low, found.high

    yield Case("ratio", design, EFFECT, draw)


def _recoveries(design, truth):
    for share in (0.0, 0.02, 0.1):
        some = truth.model_copy(update={"stuck_share": share})

        def draw(rng, some=some):
            found = restricted_mean(injections(some, design, DEADLINE_MS, rng), DEADLINE_MS, rng)
            return found.low, found.high

        named = f"restricted mean, {share:.0%} stuck"
        yield Case(named, design, true_downtime_ms(some, design, DEADLINE_MS), draw)


def _slopes(design, truth):
    truth = truth.model_copy(update={"mem_slope_sigma": design.block_sigma})

    def draw(rng):
        climbs = [s.memory() for s in staircases(truth, design, STEPS, rng)]
        each = slope_of(climbs, rng).each
        return each.low, each.high

    yield Case("slope", design, truth.mem_slope_mib, draw)


def _knees(design, truth):
    if design.block_sigma < 0.1:  # a factor of the trial cancels: once is enough
        return

    def draw(rng):
        at = latency_knee_of([s.latency() for s in staircases(truth, design, STEPS, rng)], rng).at
        return at.low, at.high

    yield Case("knee", design, float(truth.knee_instances), draw)


SLO_MS = 30.0


@cache
def _true_limit(sigmas, truth_json):
    """Median over very many staircases of what each one reaches."""
    truth = SimulatedSettings.model_validate_json(truth_json)
    rng = np.random.default_rng(98)
    many = Design("many", blocks=4000, block_sigma=sigmas)
    reached = [s.reached(SLO_MS).n for s in staircases(truth, many, STEPS, rng)]
    return float(np.median(reached))


def _limits(design, truth):
    def draw(rng):
        reached = [s.reached(SLO_MS) for s in staircases(truth, design, STEPS, rng)]
        limit = limit_of(reached)
        return (None, None) if limit.low is None else (limit.low.n, limit.high.n)

    if design.hosts == 1:
        yield Case(
            "objective's limit", design, _true_limit(design.block_sigma, truth.model_dump_json()), draw
        )


CONCURRENCY = (1, 2, 4, 8, 16, 32)
USL = {"gamma": 10.0, "alpha": 0.05, "beta": 0.002}


def _scalings(design, truth):
    """Rates by the law itself, times the block's factor and each trial's own."""
    n = np.array(CONCURRENCY, dtype=float)
    rate = USL["gamma"] * n / (1 + USL["alpha"] * (n - 1) + USL["beta"] * n * (n - 1))

    def draw(rng, name="beta"):
        factors = design.trial_factors(rng)
        each = np.exp(rng.normal(0, 0.05, (design.trials, n.size)))
        hosts = design.host_of_trial
        loads = [Load(n, rate * f * e, int(h)) for f, e, h in zip(factors, each, hosts, strict=True)]
        found = getattr(scaling_of(loads, rng), name)
        return found.low, found.high

    peak = np.sqrt((1 - USL["alpha"]) / USL["beta"])
    for name, value in (("alpha", USL["alpha"]), ("beta", USL["beta"]), ("peak_n", peak)):
        yield Case(f"USL {name}", design, float(value), partial(draw, name=name))


MAKERS = (_medians, _ratios, _recoveries, _slopes, _knees, _limits, _scalings)


def main(arguments=None):
    """Print the table; write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=500, help="simulated campaigns per row")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--design", default="", help="designs whose name contains this")
    parser.add_argument("--json", help="file to write")
    asked = parser.parse_args(arguments)
    designs = [d for d in DESIGNS if asked.design in d.name]
    rows = []
    print(HEAD)
    for case in cases(designs):
        if asked.only in case.what:
            begun = time.monotonic()
            rows.append(run(case, asked.campaigns))
            print(line(rows[-1]), f"{time.monotonic() - begun:.0f}s", flush=True)
    if asked.json:
        found = [asdict(r) | {"coverage": r.coverage} for r in rows]
        Path(asked.json).write_text(json.dumps(found, indent=1))
    return 0


HEAD = (
    f"{'what':28} {'design':9} hosts blocks size sigma   truth  given  held   95% of that  miss< width"
)


def line(row: Row) -> str:
    covered = "n/a" if row.coverage is None else f"{row.coverage:.1%}"
    low, high = wilson(row.held, row.given) if row.given else (0, 0)
    width = "n/a" if row.width is None else f"{row.width:.1%}"
    return (
        f"{row.what:28} {row.design:9} {row.hosts:5} {row.blocks:6} {row.size:4} {row.block_sigma:5} "
        f"{row.truth:7.5g} {row.given / row.campaigns:6.0%} {covered:>6} ({low:.1%}-{high:.1%}) "
        f"{row.below:4} {width:>6}"
    )


if __name__ == "__main__":
    sys.exit(main())
