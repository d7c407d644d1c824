"""Figures of recovery: who has not come back yet, and where the time until then goes."""

from collections.abc import Sequence

from analysis import figures, plots, quantities
from analysis.curves import survival_panel
from analysis.figures import MOST_PANELS, by, dressed, left_out, under
from analysis.recovery.injections import PHASES
from analysis.section import Figure
from analysis.shown import Row, marked

ALWAYS_LOGARITHMIC = 1.0
"""Recoveries take from milliseconds to minutes: any range of them gets a logarithmic axis."""


def treated(row: Row) -> str:
    """Variant and supervision: what one line, or one bar, stands for."""
    return f"{row['variant']}, supervision {row['supervision']}"


def looks_of(outcomes: Sequence[Row]) -> list[str]:
    """Names of all lines, so that each looks the same in every figure."""
    return list(dict.fromkeys(treated(r) for r in outcomes))


def curves(rows: Sequence[Row], outcomes: Sequence[Row]) -> Figure | None:
    """Share that has not recovered yet against time, a panel per fault."""
    if not rows:
        return None
    drawn, looks = dressed([r | {"variant": treated(r)} for r in rows], looks_of(outcomes))
    axis = plots.time_axis(
        [r["value_ns"] for r in drawn], "time since the fault", log_from=ALWAYS_LOGARITHMIC
    )
    named = [r | {"panel": panel(r)} for r in drawn]
    groups = by(named, "panel")
    fleet = [r | {"panel": panel(r)} for r in outcomes if r["scope"] == "fleet" and r["injections"]]
    said = [
        f"{under(name)}{', '.join(_half(r) for r in some)}."
        for name, some in by(fleet, "panel")[:MOST_PANELS]
    ]
    return Figure(
        title="Share that has not recovered yet",
        panels=plots.draw(
            [survival_panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]
        ),
        legend=looks,
        caption="Kaplan–Meier curves: lower and further left is better. A curve that does not reach 0 "
        "ends where nobody waited any longer. The time has a logarithmic scale." + left_out(len(groups)),
        alternative=" ".join(["Falling curves, one per variant and supervision.", *said]),
    )


def stages(latency: Sequence[Row], outcomes: Sequence[Row]) -> Figure | None:
    """Medians of detect, act and ready as shares of their sum, a panel per fault."""
    treatments = {(r["conditions"], r["variant"]): r for r in outcomes}
    rows = []
    for r in latency:
        found = treatments.get((r["conditions"], r["variant"]))
        if found is not None:
            given = r | {name: found[name] for name in ("fault", "supervision", "beside")}
            rows.append(given | {"variant": treated(given), "conditions": panel(given)})
    parts = tuple((phase.name, phase.meaning) for phase in PHASES)
    return figures.stages(rows, looks_of(outcomes), parts, wide=True)


def panel(row: Row) -> str:
    """The conditions of a panel: the fault, and what else varied but the supervision."""
    others = [] if row["beside"] == "same for all" else [row["beside"]]
    return ", ".join([f"fault {row['fault'].replace('_', ' ')}", *others])


def _half(row: Row) -> str:
    name = marked(row | {"variant": treated(row)})
    if row["median_ns"] == float("inf"):
        return f"half of {name} never within {quantities.duration(row['deadline_ns'])}"
    return f"half of {name} within {quantities.duration(row['median_ns'])}"
