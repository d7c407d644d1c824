"""Rows of the rollout tables: each rollout, each cell over its blocks, and more hosts against fewer."""

import math
from collections import defaultdict
from typing import Any, Literal

import numpy as np

from analysis.cells import Cell, condition_words
from analysis.section import Field
from analysis.statistics.proportions import Estimate
from analysis.statistics.resampling import mean_of_blocks
from analysis.together import COUNT_FIELDS, FLEET_FIELDS, Together
from contract.trial import canonical_json

TIMES = {
    "first": "until the first host was ready",
    "last": "until the last host was ready",
    "spread": "from the first to the last host ready",
    "pulled": "until the last host had every byte",
}
FREE = 0.8
"""Efficiency, hosts at once against few: above, nothing that they share holds them up; below it does."""

Word = Literal["no bottleneck", "bottleneck", "undecided", "withheld"]

ROLLOUT_FIELDS = (
    *FLEET_FIELDS,
    Field("block", "Int64", "block of the measurement"),
    Field("hosts", "Int64", "hosts that pulled at once"),
    Field("ready", "Int64", "of them, those on which the instance became ready"),
    *(
        Field(f"{name}_ns", "Float64", f"{meaning}, ns; unless all: none")
        for name, meaning in TIMES.items()
    ),
    Field("bytes_wire", "Float64", "bytes that all hosts fetched"),
    Field("bytes_per_s", "Float64", "these bytes over the time until the last host had every one"),
    Field("clock_error_ns", "Float64", "largest bound of a host's distance from the common moment, ns"),
    Field("late_ns", "Float64", "how late the last host heard of the common moment, ns"),
    Field("counted", "boolean", "whether the row enters the other tables"),
)
CELL_FIELDS = (
    *FLEET_FIELDS,
    *COUNT_FIELDS,
    Field("hosts", "Int64", "hosts that pulled at once"),
    Field("incomplete", "Int64", "of the blocks, those in which a host did not become ready"),
    *(
        Field(f"{name}{end}_ns", "Float64", f"{meaning}: {what}, ns")
        for name, meaning in TIMES.items()
        for end, what in (
            ("", "mean over complete blocks"),
            ("_low", "lower end of its 95 % interval"),
            ("_high", "upper end of it"),
        )
    ),
    Field("bytes_wire", "Float64", "bytes that all hosts fetched, mean"),
    Field("bytes_per_s", "Float64", "throughput of the registry, mean over blocks"),
    Field("bytes_per_s_low", "Float64", "lower end of its 95 % interval"),
    Field("bytes_per_s_high", "Float64", "upper end of it"),
)
SCALING_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "conditions besides the number of hosts"),
    Field("evidence", "string", "verdicts of the trials behind the row: valid or suspect"),
    Field("hosts", "Int64", "hosts that pulled at once"),
    Field("against", "Int64", "hosts in the rollouts that it is compared with"),
    Field("blocks", "Int64", "blocks that have both"),
    Field("slowdown", "Float64", "time until all had pulled, ratio, geometric mean over blocks"),
    Field("slowdown_low", "Float64", "lower end of its 95 % interval"),
    Field("slowdown_high", "Float64", "upper end of it"),
    Field("efficiency", "Float64", "growth of the throughput over growth of the number of hosts"),
    Field("efficiency_low", "Float64", "lower end of its 95 % interval"),
    Field("efficiency_high", "Float64", "upper end of it"),
    Field(
        "verdict", "string", "bottleneck, no bottleneck or undecided; withheld: not valid, or not real"
    ),
)

_HOSTS = """
    WITH costs AS (
        SELECT trial_id, max(value) FILTER (WHERE metric = 'rollout.bytes_wire') AS bytes_wire,
            max(value) FILTER (WHERE metric = 'rollout.clock_error') AS error_ns,
            max(value) FILTER (WHERE metric = 'rollout.release_late') AS late_ns
        FROM samples WHERE experiment = $experiment GROUP BY trial_id
    )
    SELECT p.m, i.outcome, (i.t_ready - i.t_intent)::DOUBLE AS ready_ns,
        (coalesce(i.t_pulled, i.t_unpacked) - i.t_intent)::DOUBLE AS pulled_ns,
        c.bytes_wire, c.error_ns, c.late_ns
    FROM instances i JOIN parts p USING (trial_id) LEFT JOIN costs c USING (trial_id)
    WHERE i.experiment = $experiment AND i.error_class IS DISTINCT FROM 'elsewhere'
    ORDER BY p.m, i.trial_id
"""


def rollout_rows(found: Together) -> list[dict[str, Any]]:
    """One row per rollout, counted or not."""
    hosts_of = found.rows(_HOSTS)
    rows = []
    for number, one in enumerate(found.all):
        counted = found.counts(one)
        what = found.describe(one.cell) | {"block": one.block, "counted": counted}
        rows.append(what | {"evidence": one.evidence, "cell": one.cell.index} | _times(hosts_of[number]))
    return rows


def _times(hosts: list[dict[str, Any]]) -> dict[str, Any]:
    """What came of one rollout. Times only when every host got there: else there is no last one."""
    ready = [h["ready_ns"] for h in hosts if h["outcome"] == "ok"]
    pulled = [h["pulled_ns"] for h in hosts if h["pulled_ns"] is not None]
    moved = [h["bytes_wire"] for h in hosts if h["bytes_wire"] is not None]
    row: dict[str, Any] = {"hosts": len(hosts), "ready": len(ready)}
    row["clock_error_ns"] = max((h["error_ns"] or 0 for h in hosts), default=None)
    row["late_ns"] = max((h["late_ns"] or 0 for h in hosts), default=None)
    if ready and len(ready) == len(hosts):
        row |= {"first_ns": min(ready), "last_ns": max(ready), "spread_ns": max(ready) - min(ready)}
    if pulled and len(pulled) == len(moved) == len(hosts):
        row |= {"pulled_ns": max(pulled), "bytes_wire": sum(moved)}
        row["bytes_per_s"] = sum(moved) / max(pulled) * 1e9 if max(pulled) > 0 else None
    return row


def cell_rows(found: Together, rollouts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every cell over its blocks."""
    return [
        found.describe(cell) | _over_blocks(counted_of(rollouts, cell))
        for cell in found.cells.cells
        if found.evidence(cell) is not None
    ]


def counted_of(rollouts: list[dict[str, Any]], cell: Cell) -> list[dict[str, Any]]:
    """Rollouts of a cell that count."""
    return [r for r in rollouts if r["cell"] == cell.index and r["counted"]]


def _over_blocks(rows: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "hosts": max(r["hosts"] for r in rows),
        "incomplete": sum(r["ready"] < r["hosts"] for r in rows),
    }
    for name in [f"{name}{{}}_ns" for name in TIMES] + ["bytes_per_s{}"]:
        mean = _mean(rows, name.format(""))
        row |= {name.format(""): mean.value, name.format("_high"): mean.high}
        row[name.format("_low")] = None if mean.low is None else max(0.0, mean.low)
    return row | {"bytes_wire": _mean(rows, "bytes_wire").value}


def _mean(rows: list[dict[str, Any]], name: str) -> Estimate:
    return mean_of_blocks(np.array([r[name] for r in rows if r.get(name) is not None], dtype=np.float64))


def scaling_rows(found: Together, rollouts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """More hosts at once against the fewest, under conditions that are else the same, block by block."""
    groups: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
    for cell in found.cells.cells:
        others = {key: value for key, value in cell.conditions.items() if key != "fan_out"}
        groups[cell.variant, canonical_json(others), cell.image, cell.limits].append(cell)
    rows = []
    for cells in groups.values():
        known = [(counted_of(rollouts, cell), cell) for cell in cells]
        sized = sorted((some[0]["hosts"], cell.index, some) for some, cell in known if some)
        for hosts, index, some in sized[1:]:
            few, _, fewest = sized[0]
            if hosts > few:
                cell = found.cells.cells[index]
                row = _named(found, cell) | _against(some, fewest, (hosts, few))
                real = not cell.virtual and found.evidence(cell) == "valid"
                rows.append(row if real else row | {"verdict": "withheld"})
    return rows


def _named(found: Together, cell: Cell) -> dict[str, Any]:
    names = [name for name in found.cells.varying if name != "fan_out"]
    said = condition_words({name: cell.conditions.get(name) for name in names})
    return {
        "variant": cell.variant,
        "conditions": said or "same for all",
        "evidence": found.evidence(cell),
    }


def _against(
    many: list[dict[str, Any]], few: list[dict[str, Any]], hosts: tuple[int, int]
) -> dict[str, Any]:
    base = {r["block"]: r for r in few if r.get("bytes_per_s")}
    pairs = [(r, base[r["block"]]) for r in many if r.get("bytes_per_s") and r["block"] in base]
    slowdown = _ratio([r["pulled_ns"] / b["pulled_ns"] for r, b in pairs])
    growth = hosts[0] / hosts[1]
    efficiency = _ratio([r["bytes_per_s"] / b["bytes_per_s"] / growth for r, b in pairs])
    row: dict[str, Any] = {"hosts": hosts[0], "against": hosts[1], "blocks": len(pairs)}
    for name, found in (("slowdown", slowdown), ("efficiency", efficiency)):
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row | {"verdict": _word(efficiency)}


def _ratio(ratios: list[float]) -> Estimate:
    """Geometric mean over blocks, with Student's interval on the logarithm."""
    found = mean_of_blocks(np.log(np.array(ratios, dtype=np.float64)))
    ends = [None if end is None else math.exp(end) for end in (found.value, found.low, found.high)]
    return Estimate(*ends)


def _word(efficiency: Estimate) -> Word:
    if efficiency.low is not None and efficiency.low >= FREE:
        return "no bottleneck"
    if efficiency.high is not None and efficiency.high < FREE:
        return "bottleneck"
    return "undecided"
