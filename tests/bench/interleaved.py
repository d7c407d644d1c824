"""Ours and the limits in turn, in random order within rounds, so that all meet the same host."""

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import median

SEED = 7


def in_turn(rounds: int, ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Call every way once per round, after one unmeasured round: numbers by name, in order of rounds."""
    order = random.Random(SEED)
    for way in ways.values():
        way()
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in order.sample(list(ways), len(ways)):
            found[name].append(ways[name]())
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of every way."""
    return {name: median(numbers) for name, numbers in found.items()}


def ratio_interval(
    ours: Sequence[float], limit: Sequence[float], share: float = 0.95
) -> tuple[float, float]:
    """Within which the ratio of the medians lies with this probability: a percentile bootstrap.

    Rounds are drawn, not numbers: what belongs to one round met the same host and stays together (Efron
    and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    """
    draw = random.Random(SEED)
    rounds = range(len(ours))
    ratios = []
    for _ in range(2000):
        drawn = draw.choices(rounds, k=len(rounds))
        ratios.append(median(ours[i] for i in drawn) / median(limit[i] for i in drawn))
    ratios.sort()
    tail = (1 - share) / 2
    return ratios[round(tail * len(ratios))], ratios[round((1 - tail) * len(ratios)) - 1]
