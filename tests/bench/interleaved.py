"""Ours and the limits in turn, in random order within rounds, so that all meet the same host."""

import random
from collections.abc import Callable, Mapping
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
