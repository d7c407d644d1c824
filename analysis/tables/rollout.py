"""rollout: how fast an image reaches all hosts at once."""

import pandas as pd

from analysis import classes, figures, latency
from analysis import shown as common
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction, Stage
from analysis.rollout import rows, shown, words
from analysis.section import Section, frame
from analysis.together import Together, not_elsewhere

EXPERIMENT = "rollout"

HOST_READY = Stage(
    "rollout",
    "from the common moment to the first correct reply on a host",
    "i.t_intent",
    "i.t_ready",
    unreached="i.t_ready IS NULL",
)
PHASES = (
    Stage("wire", "until the image's last byte had come", "i.t_pull", "i.t_pulled"),
    Stage("unpack", "from then until it could be used", "i.t_pulled", "i.t_unpacked"),
    Stage("create", "the create call", "i.t_call", "i.t_created"),
    Stage("start", "console and start call", "i.t_created", "i.t_started"),
    Stage("boot", "until the agent's first words", "i.t_started", "i.t_beacon"),
    Stage("reply", "until the first correct reply", "coalesce(i.t_beacon, i.t_started)", "i.t_ready"),
)

FIELDS = {
    "fleet": rows.CELL_FIELDS,
    "scaling": rows.SCALING_FIELDS,
    "rollouts": rows.ROLLOUT_FIELDS,
    "latency": latency.LATENCY_FIELDS,
    "reasons": latency.REASON_FIELDS,
}


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """The fleet per cell, more hosts against fewer, each rollout, host by host, reasons of failures."""
    cells = Cells(dataset, EXPERIMENT)
    together, reduction = Together(cells), Reduction(cells)
    rollouts = rows.rollout_rows(together)
    found = {
        "fleet": rows.cell_rows(together, rollouts),
        "scaling": rows.scaling_rows(together, rollouts),
        "rollouts": rollouts,
        "latency": latency.latency_rows(reduction, (HOST_READY, *PHASES)),
        "reasons": not_elsewhere(latency.reason_rows(reduction)),
    }
    return {name: frame(FIELDS[name], found[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary, plots and tables of rollout."""
    cells = Cells(dataset, EXPERIMENT)
    found = {name: general.records(table) for name, table in tables.items()}
    every = HOST_READY.name, HOST_READY.basis
    variants = cells.variants()
    phases = {phase.name: phase.meaning for phase in PHASES}
    parts = (
        figures.stages(found["latency"], variants, tuple(phases.items())),
        shown.fleet(found["fleet"]),
        shown.scaling(found["scaling"]),
        common.stages(found["latency"], phases),
        classes.latencies(found["latency"], every, "From the common moment to ready"),
        common.hosts(found["latency"], every, "From the common moment to ready"),
        common.reasons(found["reasons"]),
    )
    return Section(
        experiment=EXPERIMENT,
        title="How fast an image reaches all hosts at once",
        summary=tuple(words.sentences(found["fleet"], found["scaling"])),
        caveats=words.caveats(found),
        conditions=condition_words(cells.constant),
        about=(*words.METHOD, *general.method(rounded=Reduction(cells).rounded)[:1]),
        parts=tuple(part for part in parts if part is not None),
    )
