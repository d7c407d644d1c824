"""How far two cells are apart in one metric, by the method that their blocks allow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.metrics.base import EVERY_HOST, Measured, Metric, ShareBlocks
from analysis.statistics.between_runs import FEWEST_HOSTS, ratio_between_runs
from analysis.statistics.blocks import MINIMUM_BLOCKS, Blocks
from analysis.statistics.comparison import BlockMedians, p_beyond, paired_ratio
from analysis.statistics.share_differences import EffectiveShare, difference_p, share_difference

SEED = 20_261_127
"""Fixes all bootstrap draws, so that two datasets give one answer."""

Pairing = Literal["block", "host", "none"]
Kind = Literal["ratio", "difference"]


@dataclass(frozen=True, slots=True)
class Effect:
    """B against A: a ratio, or for shares a difference."""

    kind: Kind
    value: float | None
    low: float | None = None
    high: float | None = None
    claim_low: float | None = None
    """Ends of the interval that the verdict rests on."""
    claim_high: float | None = None
    p_value: float | None = None
    pairing: Pairing = "none"
    """``block``: the same blocks measured both; ``host``: each host against itself; ``none``."""
    blocks: int = 0
    hosts: int = 0
    why: str | None = None
    """Why nothing can be claimed."""


@dataclass(frozen=True)
class Method:
    """How blocks of the two sides belong together."""

    by_block: bool
    """Whether a block that both sides have is the same moment of the same host."""
    drift: float
    codes: tuple[Mapping[int, int], Mapping[int, int]]
    """The common code of each side's hosts."""


def effect_of(metric: Metric, baseline: Measured, other: Measured, method: Method) -> Effect:
    """The effect of one metric in two cells."""
    if isinstance(baseline.blocks, ShareBlocks) and isinstance(other.blocks, ShareBlocks):
        return _of_shares(baseline.blocks, other.blocks)
    assert isinstance(baseline.blocks, BlockMedians)
    assert isinstance(other.blocks, BlockMedians)
    a, b = (
        replace(blocks, keys=_coded(blocks, codes))
        for blocks, codes in zip((baseline.blocks, other.blocks), method.codes, strict=True)
    )
    shared = sorted(set(a.keys) & set(b.keys))
    if method.by_block and len(shared) >= MINIMUM_BLOCKS:
        found = _paired(a.select(shared), b.select(shared))
    else:
        found = _unpaired(a, b, method.drift if metric.drifts else 0.0)
    return _with_grain(found, math.log1p(baseline.grain), math.log1p(other.grain))


def _coded(blocks: BlockMedians, codes: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((codes.get(host, EVERY_HOST), block) for host, block in blocks.keys)


def _paired(a: BlockMedians, b: BlockMedians) -> Effect:
    rng = np.random.default_rng([SEED, len(a.keys)])
    found = paired_ratio(b, a, rng)
    hosts = len({host for host, _ in a.keys})
    why = None
    if found.value is None:
        why = "a block's value is 0, negative or lies among failures"
    ends = found.low, found.high
    return Effect("ratio", found.value, *ends, *ends, found.p_value, "block", found.blocks, hosts, why)


def _unpaired(a: BlockMedians, b: BlockMedians, drift: float) -> Effect:
    found = ratio_between_runs(b, a, drift)
    why = None
    if found.value is None:
        why = "a block's value is 0, negative or lies among failures"
    elif found.within is None and found.pairing == "none":
        why = f"no host measured both sides, and {FEWEST_HOSTS} of each would be needed then"
    elif found.within is None:
        why = f"fewer than {MINIMUM_BLOCKS} blocks of a host on one side"
    low, high = found.within or (None, None)
    claim_low, claim_high = found.claim or (None, None)
    return Effect(
        "ratio", found.value, low, high, claim_low, claim_high, found.p_value,
        found.pairing, found.blocks, found.hosts, why,
    )  # fmt: skip


def _of_shares(a: ShareBlocks, b: ShareBlocks) -> Effect:
    sides = [_effective(side) for side in (a, b)]
    blocks = min(len(a.keys), len(b.keys))
    hosts = min(len({host for host, _ in side.keys}) for side in (a, b))
    gap = float(b.hits.sum() / b.sizes.sum() - a.hits.sum() / a.sizes.sum())
    if sides[0] is None or sides[1] is None:
        few = f"fewer than {MINIMUM_BLOCKS} blocks of a host on one side"
        return Effect("difference", gap, blocks=blocks, hosts=hosts, why=few)
    found = share_difference(sides[1], sides[0])
    ends = found.low, found.high
    p_value = difference_p(sides[1], sides[0])
    return Effect("difference", gap, *ends, *ends, p_value, "none", blocks, hosts)


def _effective(side: ShareBlocks) -> EffectiveShare | None:
    hosts = np.array([host for host, _ in side.keys], dtype=np.int64)
    numbers = np.array([block for _, block in side.keys], dtype=np.int64)
    n_eff = Blocks(side.sizes.astype(np.int64), hosts, numbers).effective_n(side.hits)
    return None if n_eff is None else EffectiveShare(float(side.hits.sum() / side.sizes.sum()), n_eff)


def _with_grain(found: Effect, below: float, above: float) -> Effect:
    """Widen by what may hide between two steps of a climb: a systematic error, so it is added whole."""
    grain = max(below, above)
    if not grain or found.value is None or found.low is None or found.high is None:
        return found
    assert found.claim_low is not None
    assert found.claim_high is not None
    lower, upper = math.exp(-below), math.exp(above)
    return replace(
        found,
        low=found.low * lower,
        high=found.high * upper,
        claim_low=found.claim_low * lower,
        claim_high=found.claim_high * upper,
        p_value=p_beyond(found.value, found.p_value, grain),
    )
