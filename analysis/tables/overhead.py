"""overhead: how many times as long the same work takes as in a bare process."""

import pandas as pd

from analysis import figures, figures_overhead, latency, pairs, quantities, reported, shown, words
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction, Stage
from analysis.section import Section, frame
from analysis.shown import Row

EXPERIMENT = "overhead"

WORK = Stage(
    "work",
    "from asking for the work to its answer",
    "i.t_call",
    "i.t_ready",
    unreached="i.t_call IS NOT NULL AND i.t_ready IS NULL",
)

_STARTING = """(
    SELECT s.value FROM samples s WHERE s.trial_id = i.trial_id AND s.instance = i.instance
    AND s.metric = 'overhead.starting'
)"""
ACCESS = Stage(
    "access",
    "random and fsync: the time for them less that to start as many programs for nothing",
    f"(i.t_call + {_STARTING})",
    "i.t_ready",
)
_METRICS = {WORK.name: "time for the work", ACCESS.name: "the same without program starts"}

_ABOUT = (
    "Time is the host's, from sending a request over the instance's console to the answer, so each "
    "value holds one round trip ('work ping' is that alone). An answer that never came counts as slower "
    "than every other one. A virtual machine whose own clock ran otherwise than the host's by more than "
    "0.1 % is not believed. The work is small and of one kind each: it bounds what an application may "
    "lose, and is no application. 'random' and 'fsync' start a program for every access: their time is "
    "mostly its start's, which is measured beside it, and taken off where access is spoken of. 'net' "
    "and 'stream' run between two instances of one driver, between processes by loopback. "
    "What a command reports is the command's word, by the instance's clock."
)
_MOST_WORKS = 8

FIELDS = {
    "outcomes": latency.OUTCOME_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "comparison": pairs.PAIR_FIELDS,
    "reported": reported.REPORTED_FIELDS,
    "reported_pairs": reported.REPORTED_PAIR_FIELDS,
    "reasons": latency.REASON_FIELDS,
    "distribution": latency.CURVE_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, times, paired ratios, reasons of failures and distribution curves."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    rows = {
        "outcomes": latency.outcome_rows(reduction),
        "latency": latency.latency_rows(reduction, (WORK, ACCESS)),
        "comparison": _pairs(reduction),
        "reported": reported.reported_rows(reduction),
        "reported_pairs": reported.reported_pairs(reduction),
        "reasons": latency.reason_rows(reduction),
        "distribution": latency.curve_rows(reduction, WORK),
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of overhead."""
    cells = Cells(dataset, EXPERIMENT)
    rows = {name: words.records(found) for name, found in tables.items()}
    looks = cells.variants()
    work, access = (WORK.name, WORK.basis), (ACCESS.name, ACCESS.basis)
    # A command that reports a number often takes the time that it was given, wherever it runs.
    of_work = [
        row for row in rows["comparison"] if row["metric"] == WORK.name and not reported.told(row)
    ]
    claims = words.verdicts(of_work, {"work": "do the same work"})
    parts = (
        figures_overhead.ratios(of_work, looks),
        figures_overhead.ratios(rows["reported_pairs"], looks, figures_overhead.REPORTED),
        figures.curves(rows["distribution"], looks, what="time for the work", done="answered"),
        reported.values_shown(rows["reported"]),
        reported.pairs_shown(rows["reported_pairs"]),
        shown.comparison(rows["comparison"], _METRICS),
        shown.quantiles("Time for the work", WORK.meaning, rows["latency"], work),
        shown.quantiles("Time without program starts", ACCESS.meaning, rows["latency"], access),
        shown.hosts(rows["latency"], work, "Time for the work"),
        shown.reasons(rows["reasons"], "Why work was not done"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="What work costs inside",
        summary=(
            *reported.sentences(rows["reported_pairs"]),
            *_sentences(of_work, "the same work"),
            *_sentences(
                [row for row in rows["comparison"] if row["metric"] == ACCESS.name],
                "access without program starts",
            ),
            *(claims if of_work or not rows["reported_pairs"] else ()),
        ),
        caveats=words.caveats(rows, work),
        conditions=condition_words({k: v for k, v in cells.constant.items() if v is not None}),
        about=(_ABOUT, *words.method(rounded=Reduction(cells).rounded)),
        parts=tuple(part for part in parts if part is not None),
    )


def _pairs(reduction: Reduction) -> list[Row]:
    """Ratios; of time without program starts, only where it was measured."""
    rows = pairs.pair_rows(reduction, (WORK, ACCESS))
    return [row for row in rows if row["metric"] == WORK.name or row["blocks"]]


def _sentences(rows: list[Row], what: str) -> list[str]:
    """The ratios of every variant to the first baseline that it was measured with, one sentence each."""
    against: dict[str, str] = {}
    said: dict[str, list[str]] = {}
    for row in rows:
        baseline = against.setdefault(row["other"], row["baseline"])
        if row["baseline"] == baseline and row["ratio"] is not None:
            interval = quantities.ratio_range(row["ratio_low"], row["ratio_high"])
            shown_interval = "" if interval == quantities.NOT_AVAILABLE else f" ({interval})"
            ratio = quantities.ratio(row["ratio"])
            said.setdefault(row["other"], []).append(f"{row['conditions']} {ratio}{shown_interval}")
    return [
        f"Times for {what} in {other} against {against[other]}: "
        f"{quantities.listed(ratios, _MOST_WORKS)}."
        for other, ratios in said.items()
    ]
