"""Numbers that users' own commands reported: their units, their ratios, and which way is better."""

import json
from collections.abc import Sequence
from typing import Any

from analysis import quantities, shown
from analysis.cells import Cell
from analysis.distributions import Reduction, Stage
from analysis.latency import SCOPE_FIELDS, describe, outcome_rows, scopes
from analysis.pairs import MOST_FAILED_SHARE, PAIR_FIELDS, pair_rows
from analysis.scopes import FLEET
from analysis.section import Field, ShownTable
from analysis.shown import Row
from analysis.statistics.quantiles import estimate_quantile

_VALUE = """(
    SELECT s.value FROM samples s WHERE s.trial_id = i.trial_id AND s.instance = i.instance
    AND s.metric = 'overhead.reported'
)"""

REPORTED = Stage("reported", "the number that the command printed", "0", _VALUE)
"""No duration, but a value per repetition all the same. Of repetitions that reported."""

REPORTED_FIELDS = (
    *SCOPE_FIELDS,
    Field("unit", "string", "unit of the number, as the campaign says"),
    Field("better", "string", "whether a lower or a higher number is the better one, as it says"),
    Field("n", "Int64", "repetitions that reported"),
    Field("median", "Float64", "median of what they reported"),
    Field("median_low", "Float64", "lower end of its 95 % interval"),
    Field("median_high", "Float64", "upper end of it"),
    Field("p5", "Float64", "5 % quantile"),
    Field("p95", "Float64", "95 % quantile"),
)
REPORTED_PAIR_FIELDS = tuple(
    Field("verdict", "string", "better, worse, equivalent, undecided or withheld")
    if field.name == "verdict"
    else field
    for field in PAIR_FIELDS
)


def told(cell_or_row: Cell | Row) -> tuple[str, str] | None:
    """Unit of what a cell's command reports and which way is better; None where it reports nothing."""
    params = cell_or_row.params if isinstance(cell_or_row, Cell) else cell_or_row["params"]
    given = json.loads(params)
    return (given["unit"], given["better"]) if given.get("unit") and given.get("better") else None


def reported_rows(reduction: Reduction) -> list[dict[str, Any]]:
    """What was reported in every cell and scope."""
    cells = reduction.cells
    reporting = [(cell, how) for cell in cells.cells if (how := told(cell)) is not None]
    if not reporting:
        return []
    distribution = reduction.distribution(REPORTED)
    return [
        describe(cells, cell, scope) | {"unit": unit, "better": better} | found
        for cell, (unit, better) in reporting
        for scope in scopes(cells, cell)
        if (found := _quantiles(distribution.sample(cell.index, scope)))
    ]


def _quantiles(sample: Any) -> dict[str, Any]:
    if not sample.n:
        return {}
    middle = estimate_quantile(sample, 0.5)
    return {
        "n": sample.n,
        "median": middle.value,
        "median_low": middle.low,
        "median_high": middle.high,
        "p5": estimate_quantile(sample, 0.05).value,
        "p95": estimate_quantile(sample, 0.95).value,
    }


def reported_pairs(reduction: Reduction) -> list[dict[str, Any]]:
    """Every variant against every other, where the command reported under the same conditions."""
    if not any(told(cell) for cell in reduction.cells.cells):
        return []
    failing = _failing(reduction)
    return [_worded(row, failing) for row in pair_rows(reduction, (REPORTED,)) if told(row)]


def _failing(reduction: Reduction) -> dict[tuple[str, str], float]:
    """Share of repetitions that failed, in the fleet, by variant and conditions."""
    return {
        (row["variant"], row["conditions"]): row["failed_share"] or 0.0
        for row in outcome_rows(reduction)
        if row["scope"] == FLEET.kind
    }


def _worded(row: dict[str, Any], failing: dict[tuple[str, str], float]) -> dict[str, Any]:
    """Better and worse instead of faster and slower; nothing where many repetitions reported nothing."""
    how = told(row)
    assert how is not None
    words = {"faster": "better", "slower": "worse"}
    if how[1] == "higher":
        words = {"faster": "worse", "slower": "better"}
    row["verdict"] = words.get(row["verdict"], row["verdict"])
    for variant in (row["baseline"], row["other"]):
        share = failing.get((variant, row["conditions"]), 0.0)
        if share > MOST_FAILED_SHARE and row["verdict"] != "withheld":
            row["verdict"], row["why"] = "withheld", f"{share:.0%} of {variant} reported nothing"
    return row


def values_shown(rows: Sequence[Row]) -> ShownTable | None:
    """Medians with intervals, in the fleet."""
    body = [
        (
            r["conditions"],
            shown.marked(r),
            quantities.count(r["n"]),
            shown.over(_number(r["median"]), _range(r["median_low"], r["median_high"])),
            _number(r["p5"]),
            _number(r["p95"]),
            f"{r['unit']}, {r['better']} is better",
        )
        for r in rows
        if r["scope"] == "fleet"
    ]
    heads = ("Conditions", "Variant", "Reports", "Median", "5 %", "95 %", "Unit")
    caption = (
        "What the commands printed, in their own units; second line: 95 % interval. Their own clocks "
        "took it, so of an emulated or drifting guest it is as good as the guest's clock."
    )
    return shown.assemble("What commands reported", caption, heads, body, "reported")


def pairs_shown(rows: Sequence[Row]) -> ShownTable | None:
    """Ratios with verdict words."""
    body = [
        (
            r["conditions"],
            f"{r['other']} against {r['baseline']}",
            r["verdict"] + (f": {r['why']}" if r["why"] else ""),
            shown.over(
                quantities.ratio(r["ratio"]), quantities.ratio_range(r["ratio_low"], r["ratio_high"])
            ),
            " ".join((told(r) or ("", ""))[1:]) + " is better",
            quantities.count(r["blocks"]),
            quantities.count(r["n"]),
        )
        for r in rows
    ]
    heads = ("Conditions", "Which", "Verdict", "Ratio of medians", "Which way", "Blocks", "Values")
    caption = (
        "Paired by block; second line: 95 % interval. Better or worse needs a significant difference "
        "after Holm's correction, equivalent an interval within 0.95 to 1.05."
    )
    return shown.assemble("What commands reported, compared", caption, heads, body, "reported_pairs")


def sentences(rows: Sequence[Row]) -> list[str]:
    """The ratio of every pair, one sentence per condition: the first baseline only."""
    first: dict[tuple[str, str], str] = {}
    said: dict[str, list[str]] = {}
    for r in rows:
        baseline = first.setdefault((r["conditions"], r["other"]), r["baseline"])
        if r["baseline"] != baseline or r["ratio"] is None:
            continue
        interval = quantities.ratio_range(r["ratio_low"], r["ratio_high"])
        within = "" if interval == quantities.NOT_AVAILABLE else f" ({interval})"
        ratio = f"{r['other']} {quantities.ratio(r['ratio'])}{within} of {baseline}"
        why = f" ({r['why']})" if r["verdict"] == "withheld" else ""
        said.setdefault(r["conditions"], []).append(f"{ratio}, {r['verdict']}{why}")
    return [f"Reported under {conditions}: {'; '.join(some)}." for conditions, some in said.items()]


def _number(value: float | None) -> str:
    return quantities.NOT_AVAILABLE if value is None else quantities.digits(value)


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{_number(low)} to {_number(high)}"
