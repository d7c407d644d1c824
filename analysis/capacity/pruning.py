"""Hosts that a plan can do without, or with cheaper ones in their place."""

import numpy as np

from analysis.capacity.columns import Columns
from analysis.capacity.packing_task import PackingTask
from analysis.capacity.patterns import Floats, Ints

_MOST_STEPS = 2000


def pruned(task: PackingTask, columns: Columns, costs: Floats, hosts: Ints) -> Ints:
    """A plan (hosts by pattern × domain) made cheaper, host by host, the dearest first.

    Every host is left out, or changed for the cheapest one with which everything still fits after the
    worst loss, until no such step is left. Plans with the same number in all domains stay as they are.
    """
    if task.whole:
        return hosts
    wanted = np.array([shape.count for shape in task.shapes], dtype=np.int64)
    choices = np.vstack([np.zeros_like(columns.patterns[:1]), columns.patterns])
    prices = np.concatenate([[0.0], costs])
    found, held = hosts.copy(), hosts.T @ columns.patterns
    for _ in range(_MOST_STEPS):
        step = _step(task, (columns, choices, prices), (found, held), wanted)
        if step is None:
            break
        pattern, domain, other = step
        found[pattern, domain] -= 1
        held[domain] += choices[other] - columns.patterns[pattern]
        if other:
            found[other - 1, domain] += 1
    return found


def _step(
    task: PackingTask, offer: tuple[Columns, Ints, Floats], now: tuple[Ints, Ints], wanted: Ints
) -> tuple[int, int, int] | None:
    """Pattern and domain of a host, and what takes its place (0: nothing); None at the end."""
    columns, choices, prices = offer
    found, held = now
    used = np.argwhere(found > 0)
    for pattern, domain in used[np.argsort(-prices[used[:, 0] + 1], kind="stable")]:
        cheaper = np.flatnonzero(_cheaper(task, offer, found, int(pattern)))
        after = np.repeat(held[None], cheaper.size, axis=0)
        after[:, domain] += choices[cheaper] - columns.patterns[pattern]
        left = np.sort(after, axis=1)[:, : task.spread - task.lost].sum(axis=1)
        good = cheaper[(left >= wanted).all(axis=1)]
        if good.size:
            return int(pattern), int(domain), int(good[np.argmin(prices[good])])
    return None


def _cheaper(
    task: PackingTask, offer: tuple[Columns, Ints, Floats], found: Ints, pattern: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which choices cost less than a pattern and can be had."""
    columns, _, prices = offer
    used = np.bincount(columns.kind, weights=found.sum(axis=1), minlength=len(task.kinds))
    free = np.array(
        [kind.available is None or used[at] < kind.available for at, kind in enumerate(task.kinds)]
    )
    return np.asarray(
        (prices < prices[pattern + 1] - 1e-9) & np.concatenate([[True], free[columns.kind]])
    )
