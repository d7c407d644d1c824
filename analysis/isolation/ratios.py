"""On against off: ratios of quantiles, paired within every trial, so that each is its own control."""

import math

import numpy as np

from analysis.isolation.answers import Answers
from analysis.isolation.returns import OFF, ON
from analysis.statistics.blocks import BlockedSample, Floats
from analysis.statistics.comparison import (
    DRAWS,
    BlockMedians,
    Ratio,
    block_medians,
    log_ratios,
    paired_ratio,
    with_grain,
)

TAILS = ((0.99, 100), (0.95, 20))
"""Which tail is looked at, and the values in every block and phase that it needs."""
_INNER = 1000


def degradation(answers: Answers, rng: np.random.Generator) -> Ratio:
    """Median under stress over median before it. No value where a block's is among the unanswered."""
    on, off = (block_medians(answers.sample(step), rng) for step in (ON, OFF))
    return with_grain(paired_ratio(on, off, rng), answers.latency.grain)


def tail_of(answers: Answers) -> float | None:
    """The tail that the values of every block allow; None below 20."""
    sizes = [answers.sample(step).blocks.sizes for step in (ON, OFF)]
    least = min((int(s.min()) for s in sizes if s.size), default=0)
    return next((p for p, needed in TAILS if least >= needed), None)


def tail_ratio(answers: Answers, p: float, rng: np.random.Generator) -> Ratio:
    """The same of a tail."""
    on, off = (_block_quantiles(answers.sample(step), p, rng) for step in (ON, OFF))
    return with_grain(paired_ratio(on, off, rng), answers.latency.grain)


def silent_blocks(answers: Answers) -> int:
    """Blocks whose median under stress lies among the unanswered: they did not report."""
    blocks = answers.sample(ON).by_block().values()
    return sum(math.isinf(block.quantile(0.5)) for block in blocks)


def relief(unlimited: Answers, limited: Answers, rng: np.random.Generator) -> Ratio:
    """Degradation beside unlimited stressors over that beside limited ones, paired by block.

    Above 1: limits help.
    """
    found = paired_ratio(block_degradations(unlimited, rng), block_degradations(limited, rng), rng)
    for answers in (unlimited, limited):  # each is a ratio itself, of two medians
        found = with_grain(found, answers.latency.grain)
    return found


def block_degradations(answers: Answers, rng: np.random.Generator) -> BlockMedians:
    """Each block's degradation, as one more thing that has a value and noise per block."""
    on, off = (block_medians(answers.sample(step), rng) for step in (ON, OFF))
    shared = sorted(set(on.keys) & set(off.keys))
    on, off = on.select(shared), off.select(shared)
    inner = min(on.noise.shape[0], off.noise.shape[0])
    noise = on.noise[:inner] - off.noise[:inner]
    return BlockMedians(
        tuple(shared), np.exp(log_ratios(on, off)), noise, np.minimum(on.sizes, off.sizes)
    )


def _block_quantiles(sample: BlockedSample, p: float, rng: np.random.Generator) -> BlockMedians:
    """Like ``block_medians``, of the quantile ``p``."""
    blocks = sample.by_block()
    noise = [_noise(block, p, rng) for block in blocks.values()]
    return BlockMedians(
        tuple(blocks),
        np.array([block.at_rank(math.ceil(p * block.n)) for block in blocks.values()]),
        np.column_stack(noise) if noise else np.zeros((_INNER, 0)),
        np.array([block.n for block in blocks.values()], dtype=np.int64),
    )


def _noise(sample: BlockedSample, p: float, rng: np.random.Generator) -> Floats:
    """Draws of the logarithm of a resampled quantile, less their mean.

    The r-th smallest of n uniform numbers is Beta(r, n + 1 − r), and picks the value at that place of
    the sorted sample, as in ``analysis.statistics.comparison``.
    """
    n = sample.n
    rank = math.ceil(p * n)
    places = np.minimum(np.floor(rng.beta(rank, n + 1 - rank, size=min(_INNER, DRAWS)) * n), n - 1)
    values = sample.values[np.searchsorted(np.cumsum(sample.counts), places, side="right")]
    usable = np.isfinite(values) & (values > 0)
    logs = np.log(values, where=usable, out=np.zeros(values.size))
    return np.where(usable, logs - logs.sum() / max(1, int(usable.sum())), 0.0)
