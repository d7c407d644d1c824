"""The model against what it was not shown: the top of the climbs, and other classes of hosts."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from analysis.capacity.answer import ModelCheck
from analysis.capacity.evidence import RESOURCES, Evidence
from analysis.capacity.lines import climb_of, line_of
from analysis.capacity.resample import resample
from analysis.capacity.situation import NAMES
from analysis.density.staircases import Staircase

HELD_OUT = 0.2
"""Share of the way up that the model is not shown."""
MOST_ERROR = 0.1
"""A relative error above this is flagged."""
_UNITS = {"mem": "bytes", "cpu": "cpus"}


def top_of_climbs(some: Sequence[Staircase]) -> tuple[ModelCheck, ...]:
    """How many instances the lower part of the climbs foretells for the use at their top.

    The line is fitted to steps with at most 80 % of each climb's highest number. The use of the
    highest step, put into that line, gives the number of instances that should stand there.
    """
    lower = [_below(one) for one in some]
    draws = resample(len(some), np.random.default_rng(0))
    found = []
    for resource in RESOURCES:
        line = line_of(lower, resource, draws)
        tops = [climb_of(one, resource) for one in some]
        ends = [(t.n[-1], t.value[-1]) for t in tops if t.n.size and t.n[-1] > 0]
        if line is None or line.flat or not ends:
            continue
        predicted = fmean(float(value) - line.base for _, value in ends) / line.each
        held_out = f"steps above {1 - HELD_OUT:.0%} of the highest number of instances"
        quantity = f"instances at the top, from {NAMES[resource]}"
        measured = fmean(float(n) for n, _ in ends)
        found.append(ModelCheck(held_out, quantity, predicted, measured, "instances"))
    return tuple(found)


def _below(one: Staircase) -> Staircase:
    top = max((step.n for step in one.ups), default=0)
    kept = tuple(s for s in one.steps if not s.up or s.n <= (1 - HELD_OUT) * top)
    return replace(one, steps=kept)


def other_classes(every: Sequence[Evidence]) -> dict[str, tuple[ModelCheck, ...]]:
    """What an instance of one variant should take on a class, by the other classes; by class name."""
    found: dict[str, tuple[ModelCheck, ...]] = {}
    for one in every:
        rest = [other for other in every if other.host_class != one.host_class]
        checks = []
        for resource in RESOURCES:
            own = one.line(resource)
            others = [line.each for other in rest if (line := other.line(resource)) and not line.flat]
            if own is not None and not own.flat and others:
                quantity = f"{NAMES[resource]} of an instance"
                unit = _UNITS[resource]
                checks.append(ModelCheck("this class of hosts", quantity, fmean(others), own.each, unit))
        found[one.host_class] = tuple(checks)
    return found
