"""lifecycle: how fast instances come and go."""

from typing import Any

import pandas as pd

from analysis import classes, figures, heatmap, latency, pairs, scaling, shown, words
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction, Stage
from analysis.section import Section, frame

EXPERIMENT = "lifecycle"

READY = Stage(
    "e2e",
    "from the planned start to the first correct reply",
    "i.t_intent",
    "i.t_ready",
    unreached="i.t_ready IS NULL",
)
DELETE = Stage(
    "delete",
    "from the stop call until the engine says that the instance is gone",
    "i.t_stop_call",
    "i.t_gone",
    unreached="i.t_ready IS NOT NULL AND i.t_stop_call IS NOT NULL",
)
RECLAIM = Stage(
    "reclaim",
    "from the stop call until nothing of the instance is left",
    "i.t_stop_call",
    "i.t_reclaimed",
    unreached="i.t_ready IS NOT NULL AND i.t_stop_call IS NOT NULL",
)
PHASES = (
    Stage("queue", "waiting before anything was called", "i.t_intent", "i.t_call"),
    Stage("create", "the create call", "i.t_call", "i.t_created"),
    Stage("start", "console and start call", "i.t_created", "i.t_started"),
    Stage("boot", "until the agent's first words", "i.t_started", "i.t_beacon"),
    Stage("reply", "until the first correct reply", "coalesce(i.t_beacon, i.t_started)", "i.t_ready"),
)
STAGES = (
    READY,
    Stage("e2e", READY.meaning, READY.start, READY.end),
    *PHASES,
    DELETE,
    Stage("exit", "from the stop call until its process is dead", "i.t_stop_call", "i.t_exited"),
    RECLAIM,
)

_ABOUT = (
    "Time to ready counts from the moment that the schedule planned, so waiting for the host counts. "
    "An attempt that never became ready counts as slower than every other one."
)

FIELDS = {
    "outcomes": latency.OUTCOME_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "comparison": pairs.PAIR_FIELDS,
    "reasons": latency.REASON_FIELDS,
    "distribution": latency.CURVE_FIELDS,
    "scaling": scaling.SCALING_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, latencies, paired ratios, reasons, distribution curves and fits of the rate."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    rows = {
        "outcomes": latency.outcome_rows(reduction),
        "latency": latency.latency_rows(reduction, STAGES),
        "comparison": pairs.pair_rows(reduction, (READY, DELETE)),
        "reasons": latency.reason_rows(reduction),
        "distribution": latency.curve_rows(reduction, READY),
        "scaling": scaling.scaling_rows(reduction),
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of creation and deletion speed."""
    cells = Cells(dataset, EXPERIMENT)
    rows = {name: words.records(found) for name, found in tables.items()}
    looks = cells.variants()
    ready, delete = ("e2e", "all attempts"), ("delete", "all attempts")
    parts: list[Any] = [
        figures.curves(rows["distribution"], looks, what="time from planned start to ready"),
        *figures.levels(rows["latency"], looks, ready, what="time to ready"),
        scaling.figure(rows["outcomes"], rows["scaling"], looks),
        figures.stages(rows["latency"], looks, tuple((p.name, p.meaning) for p in PHASES)),
        figures.hosts(rows["latency"], looks, ready, what="median time to ready"),
        heatmap.latencies(rows["latency"], ready, "time to ready"),
        shown.quantiles("Time to ready", READY.meaning, rows["latency"], ready),
        shown.comparison(rows["comparison"], {"e2e": "time to ready", "delete": "time to delete"}),
        shown.outcomes(rows["outcomes"]),
        scaling.scaling_table(rows["scaling"]),
        shown.quantiles("Time to delete", DELETE.meaning, rows["latency"], delete),
        shown.stages(rows["latency"], {stage.name: stage.meaning for stage in STAGES[2:]}),
        classes.latencies(rows["latency"], ready, "Time to ready"),
        shown.hosts(rows["latency"], ready),
        shown.reasons(rows["reasons"]),
    ]
    return Section(
        experiment=EXPERIMENT,
        title="How fast instances come and go",
        summary=(
            *words.medians(rows["latency"], ready, "ready"),
            *words.levels(rows["latency"], ready, "time to ready"),
            *scaling.sentences(rows["scaling"]),
            *words.verdicts(rows["comparison"], {"e2e": "become ready", "delete": "be deleted"}),
        ),
        caveats=words.caveats(rows, ready),
        conditions=condition_words(cells.constant),
        about=(_ABOUT, *words.method(rounded=Reduction(cells).rounded)),
        parts=tuple(part for part in parts if part is not None),
    )
