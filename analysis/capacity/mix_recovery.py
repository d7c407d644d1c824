"""Until what a loss took runs elsewhere, where shapes share hosts."""

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from analysis.capacity.mix_task import Mixture
from analysis.capacity.model import Restart
from analysis.capacity.packing import MixedPlan
from analysis.capacity.placing import Stack
from analysis.statistics.blocks import Floats

MOST_LOSSES = 500
"""Losses that are looked at; domains that hold the same count as one."""

_Restarts = dict[tuple[str, str], Restart]


def restored_s(mixture: Mixture, plan: MixedPlan) -> Floats | None:
    """Time until all that the worst loss took runs elsewhere, seconds, a value per draw.

    As for one shape alone: detection, then starts on all survivors at once, then the readiness of the
    last ones, and the image. Of several variants the slowest detection, readiness and image count; what
    a survivor starts takes the sum of the times of all shapes. None where a part is not known, or no
    domain can be lost.
    """
    _, lost, _, _ = mixture.domains
    restarts: _Restarts = {
        key: one.drawn.restart for key, one in mixture.placed.items() if one.drawn.restart is not None
    }
    if not lost or len(restarts) < len(mixture.placed):
        return None
    worst: Floats = np.zeros(1)
    for gone, left in _losses(mixture, plan):
        worst = np.maximum(worst, _starting_s(mixture, restarts, gone, left) + _image_s(restarts, left))
    fixed = np.maximum.reduce([r.detect_s + r.ready_s for r in restarts.values()])
    return np.asarray(worst + fixed, dtype=np.float64)


def _losses(mixture: Mixture, plan: MixedPlan) -> Iterator[tuple[list[Stack], list[Stack]]]:
    """What is lost and what is left, once for all losses that are alike."""
    number, lost, _, _ = mixture.domains
    of_domain = {d: [s for s in plan.stacks if s.domain == d] for d in range(1, number + 1)}
    alike = {
        d: sorted(
            f"{s.kind} {s.hosts} {sorted(s.holds.items())} {sorted(s.reserved.items())}" for s in some
        )
        for d, some in of_domain.items()
    }
    known: set[str] = set()
    for gone in itertools.islice(itertools.combinations(of_domain, lost), MOST_LOSSES):
        key = repr(sorted(alike[d] for d in gone))
        if key not in known:
            known.add(key)
            yield (
                [s for d in gone for s in of_domain[d]],
                [s for d, some in of_domain.items() if d not in gone for s in some],
            )


def _starting_s(mixture: Mixture, restarts: _Restarts, gone: list[Stack], left: list[Stack]) -> Floats:
    took: Floats = np.zeros(1)
    for shape in dict.fromkeys(name for name, _ in restarts):
        held: Counter[bool] = Counter()
        for stacks, is_lost in ((gone, True), (left, False)):
            for stack in stacks:
                held[is_lost] += stack.hosts * stack.holds.get(shape, 0)
        if not held[True]:
            continue
        rates = [
            stack.hosts * restarts[shape, stack.kind].rate_per_s
            for stack in left
            if (shape, stack.kind) in restarts and stack.reserved.get(shape)
        ]
        wanted = mixture.of_shape(shape).drawn.demand * held[True] / held.total()
        took = took + (wanted / np.sum(rates, axis=0) if rates else np.where(wanted > 0, np.inf, 0.0))
    return took


def _image_s(restarts: _Restarts, left: list[Stack]) -> Floats:
    hosts = sum(stack.hosts for stack in left)
    waits = [np.maximum(r.image_link_s, hosts * r.image_registry_s) for r in restarts.values()]
    return np.asarray(np.maximum.reduce(waits), dtype=np.float64)
