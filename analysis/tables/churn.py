"""churn: what a host bears when instances come and go, and what they leave behind."""

from typing import Any

import numpy as np
import pandas as pd

from analysis import (
    classes,
    figures,
    figures_traffic,
    heatmap,
    latency,
    pairs,
    shown,
    words,
    words_traffic,
)
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction, Stage
from analysis.scopes import FLEET
from analysis.section import Field, Section, frame
from analysis.statistics.blocks import MINIMUM_BLOCKS
from analysis.statistics.counts import estimate_events
from analysis.statistics.proportions import Estimate, estimate_rate, estimate_share
from analysis.statistics.resampling import mean_of_blocks
from analysis.tables.lifecycle import DELETE, PHASES, READY, RECLAIM
from analysis.traffic import Traffic, TrafficReduction, mean_lines

EXPERIMENT = "churn"

GROWTH_TOLERANCE = 0.1
"""Growth of what is in flight that still counts as none, as a share of the arrivals."""
MOST_SHED_SHARE = 0.01
"""With more arrivals turned away, the rate was not borne."""
LINE_POINTS = 120

STAGES = (
    READY,
    *PHASES,
    DELETE,
    Stage("exit", "from the stop call until its process is dead", "i.t_stop_call", "i.t_exited"),
    RECLAIM,
)

_ABOUT = (
    "Arrivals are an open loop: each begins when the plan says so, whatever became of the earlier ones, "
    "and its time to ready counts from there. Throughput and growth are those of the last three "
    "quarters of the arrivals' time. A rate is sustained when the number of instances in flight does "
    f"not grow: when the interval of its growth lies below {GROWTH_TOLERANCE:.0%} of the rate. It is "
    "beyond capacity when the whole interval lies above that, or more than "
    f"{MOST_SHED_SHARE:.0%} of arrivals were turned away. Growth is Theil and Sen's slope within a "
    "trial, its interval Student's over blocks."
)
_LEAKS = (
    "Leaks are the difference of two censuses of the host, before the arrivals and after the drain. "
    "Zombies, interfaces, network namespaces and loop devices are those of the whole host: what others "
    "left in that time is among them. Intervals are Poisson's, widened where blocks differ by more than "
    "chance; where none was found, the upper end is that of the rule of three."
)

LOAD_FIELDS = (
    *latency.SCOPE_FIELDS,
    Field("blocks", "Int64", "trials behind the row, one per block and host"),
    Field("offered_per_s", "Float64", "arrivals per second, as planned"),
    Field("achieved_per_s", "Float64", "instances that became ready per second, steady part"),
    Field("achieved_per_s_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("achieved_per_s_high", "Float64", "upper end of it"),
    Field("removed_per_s", "Float64", "instances that were removed per second, steady part"),
    Field("removed_per_s_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("removed_per_s_high", "Float64", "upper end of it"),
    Field("backlog_end", "Float64", "not ready yet when arrivals ended, mean over blocks"),
    Field("backlog_end_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("backlog_end_high", "Float64", "upper end of it"),
    Field("backlog_growth_per_s", "Float64", "by how much the backlog grows per second"),
    Field("backlog_growth_per_s_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("backlog_growth_per_s_high", "Float64", "upper end of it"),
    Field("growth_per_s", "Float64", "by how much the number in flight grows per second"),
    Field("growth_per_s_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("growth_per_s_high", "Float64", "upper end of it"),
    Field("arrived", "Int64", "arrivals, shed ones included"),
    Field("shed", "Int64", "of them turned away by a guard rail"),
    Field("shed_share", "Float64", "shed / arrived"),
    Field("shed_share_low", "Float64", "lower end of its 95 % Wilson interval at the effective n"),
    Field("shed_share_high", "Float64", "upper end of it"),
    Field("removals", "Int64", "instances that were removed"),
    Field("verdict", "string", "sustained, beyond capacity, failing or undecided"),
    Field("why", "string", "why so, where the growth alone does not say it"),
)
LEAK_FIELDS = (
    *latency.SCOPE_FIELDS,
    Field("kind", "string", "what was counted"),
    Field("blocks", "Int64", "trials behind the row"),
    Field("removals", "Int64", "instances that were removed in them"),
    Field("leaked", "Float64", "what was there after and not before; bytes for engine_rss"),
    Field("per_1000", "Float64", "leaked per 1000 removals"),
    Field("per_1000_low", "Float64", "lower end of its 95 % interval"),
    Field("per_1000_high", "Float64", "upper end of it"),
)
BACKLOG_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("evidence", "string", "verdicts of the trials behind the line, as in the other tables"),
    Field("second", "Float64", "since arrivals began"),
    Field("trials", "Int64", "trials that were observed then"),
    *(
        Field(f"{name}{end}", "Float64", f"{meaning}{of}")
        for name, meaning in (
            ("backlog", "arrived, not ready yet"),
            ("in_flight", "there, not gone yet"),
        )
        for end, of in (("", ", mean"), ("_least", ", least trial"), ("_most", ", most trial"))
    ),
)

FIELDS = {
    "outcomes": latency.OUTCOME_FIELDS,
    "load": LOAD_FIELDS,
    "leaks": LEAK_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "comparison": pairs.PAIR_FIELDS,
    "reasons": latency.REASON_FIELDS,
    "distribution": latency.CURVE_FIELDS,
    "backlog": BACKLOG_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, load, leaks, latencies, paired ratios, reasons of failures, and lines over time."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    traffic = TrafficReduction(reduction.cells)
    outcomes = latency.outcome_rows(reduction)
    rows = {
        "outcomes": outcomes,
        "load": load_rows(traffic, outcomes),
        "leaks": leak_rows(traffic),
        "latency": latency.latency_rows(reduction, STAGES),
        "comparison": pairs.pair_rows(reduction, (READY, DELETE)),
        "reasons": latency.reason_rows(reduction),
        "distribution": latency.curve_rows(reduction, READY),
        "backlog": backlog_rows(traffic),
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of sustained creation and deletion."""
    cells = Cells(dataset, EXPERIMENT)
    rows = {name: words.records(found) for name, found in tables.items()}
    looks = cells.variants()
    ready, delete = ("e2e", "all attempts"), ("delete", "all attempts")
    parts: list[Any] = [
        figures_traffic.throughput(rows["load"], looks),
        figures_traffic.over_time(rows["backlog"], looks),
        *figures.levels(rows["latency"], looks, ready, what="time to ready"),
        figures.curves(rows["distribution"], looks, what="time from planned arrival to ready"),
        words_traffic.load_table(rows["load"]),
        words_traffic.leak_table(rows["leaks"]),
        shown.quantiles("Time to ready", READY.meaning, rows["latency"], ready),
        shown.quantiles("Time to delete", DELETE.meaning, rows["latency"], delete),
        shown.comparison(rows["comparison"], {"e2e": "time to ready", "delete": "time to delete"}),
        shown.outcomes(rows["outcomes"]),
        shown.stages(rows["latency"], {stage.name: stage.meaning for stage in STAGES}),
        heatmap.latencies(rows["latency"], ready, "time to ready"),
        classes.latencies(rows["latency"], ready, "Time to ready"),
        shown.hosts(rows["latency"], ready),
        shown.reasons(rows["reasons"]),
    ]
    return Section(
        experiment=EXPERIMENT,
        title="What a host bears when instances come and go",
        summary=(
            *words_traffic.sustained(rows["load"]),
            *words.levels(rows["latency"], ready, "time to ready"),
            *words_traffic.leaks(rows["leaks"]),
        ),
        caveats=(*words.caveats(rows, ready), *words_traffic.caveats(rows["load"])),
        conditions=condition_words(cells.constant),
        about=(_ABOUT, _LEAKS, *words.method(rounded=Reduction(cells).rounded)),
        parts=tuple(part for part in parts if part is not None),
    )


def load_rows(traffic: TrafficReduction, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Throughput against what was offered, growth, and whether the rate was borne."""
    failed = {shown.place_of(row): row["failed_share"] for row in outcomes}
    found = []
    for cell in traffic.cells.cells:
        for scope in latency.scopes(traffic.cells, cell):
            trials = traffic.of(cell.index, scope)
            row = latency.describe(traffic.cells, cell, scope) | {"blocks": len(trials)}
            if trials:
                row |= _load(trials)
                share = failed.get(shown.place_of(row)) or 0.0
                row["verdict"], row["why"] = judge(row, share)
                found.append(row)
    return found


def judge(row: dict[str, Any], failed_share: float) -> tuple[str, str | None]:
    """Whether a rate was borne, and why so where growth alone does not say it."""
    few = row["blocks"] < MINIMUM_BLOCKS
    if row["shed_share"] > MOST_SHED_SHARE:
        return "beyond capacity", f"{row['shed_share']:.0%} of arrivals were turned away"
    if failed_share > pairs.MOST_FAILED_SHARE:
        return "failing", f"{failed_share:.0%} of attempts failed"
    bound = GROWTH_TOLERANCE * row["offered_per_s"]
    low, high = row["growth_per_s_low"], row["growth_per_s_high"]
    if low is None or high is None:
        return "undecided", f"fewer than {MINIMUM_BLOCKS} blocks" if few else "arrivals were too short"
    if high < bound:
        return "sustained", None
    return ("beyond capacity", None) if low > bound else ("undecided", "the data cannot tell")


def leak_rows(traffic: TrafficReduction) -> list[dict[str, Any]]:
    """What was left of each kind, per 1000 removals."""
    found = []
    for cell in traffic.cells.cells:
        for scope in latency.scopes(traffic.cells, cell):
            trials = traffic.of(cell.index, scope)
            for kind in dict.fromkeys(kind for trial in trials for kind in trial.leaked):
                counted = [trial for trial in trials if kind in trial.leaked]
                row = latency.describe(traffic.cells, cell, scope) | {"kind": kind}
                found.append(row | _leaked(kind, counted))
    return found


def backlog_rows(traffic: TrafficReduction) -> list[dict[str, Any]]:
    """Backlog and instances in flight over time, in every cell."""
    cells = traffic.cells
    return [
        {
            "variant": cell.variant,
            "conditions": cells.condition(cell),
            "evidence": cells.evidence.get((cell.index, FLEET)),
        }
        | row
        for cell in cells.cells
        for row in mean_lines(traffic.of(cell.index, FLEET), LINE_POINTS)
    ]


def _load(trials: list[Traffic]) -> dict[str, Any]:
    row: dict[str, Any] = {"offered_per_s": trials[0].rate_per_s}
    for name, count in (("achieved_per_s", "readied"), ("removed_per_s", "removed")):
        grown = np.array([trial.passed(count) for trial in trials])
        row |= _columns(name, estimate_rate(grown[:, 0], grown[:, 1]))
    at_end = [end for trial in trials if (end := trial.at_end("backlog")) is not None]
    row |= _columns("backlog_end", mean_of_blocks(np.array(at_end)))
    for name, count in (("backlog_growth_per_s", "backlog"), ("growth_per_s", "in_flight")):
        slopes = [slope for trial in trials if (slope := trial.growth[count]) is not None]
        row |= _columns(name, mean_of_blocks(np.array(slopes)))
    arrived, shed, removed = (
        np.array([trial.total(name) for trial in trials]) for name in ("arrived", "shed", "removed")
    )
    share = estimate_share(shed, arrived, np.array([trial.host for trial in trials]))
    totals = {"arrived": int(arrived.sum()), "shed": int(shed.sum()), "removals": int(removed.sum())}
    return row | totals | _columns("shed_share", share)


def _leaked(kind: str, trials: list[Traffic]) -> dict[str, Any]:
    values = np.array([trial.leaked[kind] for trial in trials])
    removed = np.array([trial.total("removed") for trial in trials])
    if kind.startswith("engine_"):  # sizes that move both ways
        per_removal = [v / n for v, n in zip(values, removed, strict=True) if n]
        found = mean_of_blocks(np.array(per_removal))
    else:
        values = np.maximum(values, 0.0)  # what others took away is no credit
        found = estimate_events(values, removed)
    per_1000 = Estimate(*(None if v is None else 1000 * v for v in (found.value, found.low, found.high)))
    counts = {"blocks": len(trials), "removals": int(removed.sum()), "leaked": float(values.sum())}
    return counts | _columns("per_1000", per_1000)


def _columns(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
