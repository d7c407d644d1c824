"""When a victim is as fast again as before stress, trial by trial."""

from itertools import pairwise

import numpy as np

from analysis.portions import Columns
from analysis.statistics.blocks import Floats

OFF, ON, AFTER = 0, 1, 2
"""Phases: before, under and after stress."""
GOOD_IN_A_ROW = 5
"""Answers as good as before that tell of a return to normal."""
NORMAL_P, NORMAL_SLACK = 0.95, 1.05
"""As good as before: within the 95th percentile of the first phase, and 5 % more."""


def times_to_return(answers: Columns) -> Columns:
    """``trial`` and ``return_ns`` of every trial that can tell: ``inf`` where it was not seen.

    Answers are those of some trials, each trial's in the order of time.
    """
    order = np.argsort(answers["trial"], kind="stable")
    ordered = {name: column[order] for name, column in answers.items()}
    trial = ordered["trial"]
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(trial)) + 1, [trial.size]])
    found = []
    for begin, end in pairwise(bounds.tolist()):
        own = {name: column[begin:end] for name, column in ordered.items()}
        time = _time_to_return(own)
        if time is not None:
            found.append((int(trial[begin]), time))
    return {
        "trial": np.array([number for number, _ in found], dtype=np.int32),
        "return_ns": np.array([time for _, time in found], dtype=np.float64),
    }


def _time_to_return(own: Columns) -> float | None:
    """When the first of several good answers in a row was asked for; None: nothing to judge by."""
    later = own["step"] == AFTER
    bound = _as_good_as_before(np.sort(own["latency_ns"][(own["step"] == OFF) & own["settled"]]))
    latency, since = own["latency_ns"][later], own["since_ns"][later]
    if bound is None or latency.size < GOOD_IN_A_ROW:
        return None
    good = np.convolve(latency <= bound, np.ones(GOOD_IN_A_ROW, dtype=np.int64), "valid")
    places = np.flatnonzero(good == GOOD_IN_A_ROW)
    return float(since[places[0]]) if places.size else float("inf")


def _as_good_as_before(before: Floats) -> float | None:
    """The longest latency that is as good as those before, which are sorted; None: nothing is."""
    if not before.size:
        return None
    bound = float(before[int(np.ceil(NORMAL_P * before.size)) - 1]) * NORMAL_SLACK
    return None if np.isinf(bound) else bound
