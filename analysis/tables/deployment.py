"""deployment: how fast a release arrives, and what it moves."""

from typing import Any

import pandas as pd

from analysis import classes, figures, heatmap, latency, moved, pairs, shown, words
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction, Stage
from analysis.section import Section, frame

EXPERIMENT = "deployment"

DEPLOY = Stage(
    "deploy",
    "from the decision to deploy to the first correct reply",
    "i.t_intent",
    "i.t_ready",
    unreached="i.t_ready IS NULL",
)
PULL = Stage(
    "pull",
    "from the call that fetches the image until it can be used",
    "i.t_pull",
    "i.t_unpacked",
    unreached="i.t_pull IS NOT NULL AND i.t_unpacked IS NULL",
)
PHASES = (
    Stage("wire", "until the image's last byte had come", "i.t_pull", "i.t_pulled"),
    Stage("unpack", "from then until it could be used", "i.t_pulled", "i.t_unpacked"),
    Stage("create", "the create call", "i.t_call", "i.t_created"),
    Stage("start", "console and start call", "i.t_created", "i.t_started"),
    Stage("boot", "until the agent's first words", "i.t_started", "i.t_beacon"),
    Stage("reply", "until the first correct reply", "coalesce(i.t_beacon, i.t_started)", "i.t_ready"),
)
STAGES = (
    DEPLOY,
    Stage("deploy", DEPLOY.meaning, DEPLOY.start, DEPLOY.end),
    PULL,
    *PHASES,
)

_ABOUT = (
    "Time to deploy counts from just before the pull to the first correct reply. An attempt that never "
    "got there counts as slower than every other one. A container engine unpacks lower layers while "
    "higher ones are still on their way: 'unpack' is only what remains after the last byte. Bytes are "
    "those of manifests, configurations and layers, without the protocol around them."
)

FIELDS = {
    "outcomes": latency.OUTCOME_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "moved": moved.MOVED_FIELDS,
    "changes": moved.CHANGE_FIELDS,
    "pushes": moved.PUSH_FIELDS,
    "comparison": pairs.PAIR_FIELDS,
    "reasons": latency.REASON_FIELDS,
    "distribution": latency.CURVE_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, latencies, bytes, what a small change costs, pushes, ratios, reasons and curves."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    times = latency.latency_rows(reduction, STAGES)
    bytes_moved = moved.moved_rows(reduction.cells)
    rows = {
        "outcomes": latency.outcome_rows(reduction),
        "latency": times,
        "moved": bytes_moved,
        "changes": moved.change_rows(bytes_moved, times),
        "pushes": moved.push_rows(reduction.cells),
        "comparison": pairs.pair_rows(reduction, (DEPLOY, PULL)),
        "reasons": latency.reason_rows(reduction),
        "distribution": latency.curve_rows(reduction, DEPLOY),
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of delivery."""
    cells = Cells(dataset, EXPERIMENT)
    rows = {name: words.records(found) for name, found in tables.items()}
    looks = cells.variants()
    deploy = ("deploy", "all attempts")
    what = {"deploy": "time to deploy", "pull": "time to pull"}
    parts: list[Any] = [
        figures.stages(rows["latency"], looks, tuple((p.name, p.meaning) for p in PHASES)),
        figures.curves(rows["distribution"], looks, what="time to deploy"),
        figures.hosts(rows["latency"], looks, deploy, what="median time to deploy"),
        heatmap.latencies(rows["latency"], deploy, "time to deploy"),
        moved.shown_changes(rows["changes"]),
        moved.shown_bytes(rows["moved"]),
        shown.quantiles("Time to deploy", DEPLOY.meaning, rows["latency"], deploy),
        shown.quantiles("Time to pull", PULL.meaning, rows["latency"], ("pull", "all attempts")),
        shown.stages(rows["latency"], {stage.name: stage.meaning for stage in STAGES[1:]}),
        moved.shown_pushes(rows["pushes"]),
        shown.comparison(rows["comparison"], what),
        shown.outcomes(rows["outcomes"]),
        classes.latencies(rows["latency"], deploy, "Time to deploy"),
        shown.hosts(rows["latency"], deploy),
        shown.reasons(rows["reasons"]),
    ]
    return Section(
        experiment=EXPERIMENT,
        title="How fast a release arrives, and what it moves",
        summary=(
            *words.medians(rows["latency"], deploy, "deployed"),
            *moved.change_sentences(rows["changes"]),
            *words.verdicts(rows["comparison"], {"deploy": "be deployed", "pull": "be pulled"}),
        ),
        caveats=words.caveats(rows, deploy),
        conditions=condition_words(cells.constant),
        about=(_ABOUT, *words.method(rounded=Reduction(cells).rounded)),
        parts=tuple(part for part in parts if part is not None),
    )
