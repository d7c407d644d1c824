"""The first values of every trial beside its others, where the others are only known by histograms."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.cells import Cells
from analysis.histograms import Histograms, Source
from analysis.statistics.buckets import bucket_sql

OTHERS = 4
"""So many times as many other values must a trial have for its first ones to be set against them."""
_BEFORE = ("residents", "warm_ups", "concurrency")
"""Parameters that say how many instances come before the first ones are complete."""
_ANY = 2**31 - 1
_Row = dict[str, Any]


def firsts_of_many(cells: Cells, source: Source, value: str, counted: Histograms) -> list[_Row]:
    """As ``Reduction.firsts``: cell, host, median of the first values of a trial and of the rest, ns.

    ``value`` is the stage in SQL. Of few rows of each trial the first values can be had: only where
    failures take their places are all rows read.
    """
    reach = _reach(cells)
    found = {row["trial"]: row for row in _earliest(source, value, reach)}
    if short := _short(cells, source, found, reach):
        some = source.members.filter(pc.is_in(source.members["trial"], pa.array(short, pa.int32())))
        whole = replace(source, members=some)
        found |= {row["trial"]: row for row in _earliest(whole, value, _ANY)}
    rows = [found[trial] for trial in sorted(found)]
    trials = np.array([row["trial"] for row in rows], dtype=np.int32)
    sizes = np.array([len(row["buckets"]) for row in rows], dtype=np.int64)
    buckets = np.array([bucket for row in rows for bucket in row["buckets"]], dtype=np.int32)
    others = counted.measurable().without(np.repeat(trials, sizes), buckets)
    return [
        {
            "cell": cells.memberships[row["trial"]].cell,
            "host": cells.memberships[row["trial"]].host,
            "first": float(np.median(row["first"])),
            "rest": float(rest),
        }
        for row, rest, n in zip(rows, *others.medians(trials), strict=True)
        if n >= OTHERS * row["at_once"]
    ]


def _earliest(source: Source, value: str, reach: int) -> list[_Row]:
    """The first values and their buckets of every trial, among its instances below ``reach``."""
    sql = f"""
        WITH timed AS (
            SELECT m.trial, i.instance, {value} AS v,
                greatest(coalesce(i.concurrency, 1), 1) AS at_once
            FROM instances i JOIN members m USING (trial_id)
            WHERE i.experiment = $experiment AND i.instance < $reach AND {source.where}
        )
        SELECT trial, min(at_once) AS at_once, min_by(v, instance, at_once) AS first,
            min_by({bucket_sql("v")}, instance, at_once) AS buckets
        FROM timed WHERE v > 0 AND isfinite(v) GROUP BY trial
    """  # noqa: S608 - built of the analysis' own text
    given = {"experiment": source.experiment, "reach": reach}
    return source.dataset.rows(sql, given, members=source.members)


def _short(cells: Cells, source: Source, found: dict[int, _Row], reach: int) -> list[int]:
    """Trials that may have first values beyond the reach."""
    asked: list[int] = source.members["trial"].to_pylist()
    short = [t for t in asked if t not in found or len(found[t]["first"]) < found[t]["at_once"]]
    within = {t["trial_id"] for t in cells.trials if _sum(t, (*_BEFORE, "instances")) <= reach}
    return [trial for trial in short if cells.memberships[trial].trial_id not in within]


def _reach(cells: Cells) -> int:
    """Instances of any trial among which its first values lie, unless very many fail."""
    return 1000 + 2 * max((_sum(trial, _BEFORE) for trial in cells.trials), default=0)


def _sum(trial: _Row, names: Collection[str]) -> int:
    """The sum of some parameters; without limit where one of them cannot be added."""
    params = json.loads(trial["params"])
    found = [params.get(name, 0 if name in _BEFORE else _ANY) for name in names]
    return sum(found) if all(isinstance(value, int) for value in found) else _ANY // 4
