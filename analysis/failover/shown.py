"""Tables and figures of failover as the report shows them."""

import math
from collections.abc import Sequence

from analysis import plots, quantities
from analysis.curves import survival_panel
from analysis.figures import MOST_PANELS, by, dressed, left_out
from analysis.section import Figure, ShownTable
from analysis.shown import Row, assemble, marked, over


def curves(rows: Sequence[Row], variants: Sequence[str]) -> Figure | None:
    """Share that has not returned yet against time, a panel per condition."""
    if not rows:
        return None
    drawn, looks = dressed(rows, variants)
    axis = plots.time_axis([r["value_ns"] for r in drawn], "time since the loss", log_from=1.0)
    groups = by(drawn, "conditions")
    ends = {(r["conditions"], r["variant"]): r for r in rows}
    said = [
        f"{quantities.share(1 - r['share'])} of {r['variant']} back within "
        f"{quantities.duration(r['value_ns'])} under {r['conditions']}."
        for r in list(ends.values())[:MOST_PANELS]
    ]
    panels = [survival_panel(name, some, looks, axis) for name, some in groups[:MOST_PANELS]]
    return Figure(
        title="Share of the lost host's instances that is not back yet",
        panels=plots.draw(panels),
        legend=looks,
        caption="Kaplan–Meier curves: lower and further left is better. A curve that does not reach 0 "
        "ends at the deadline. The time has a logarithmic scale." + left_out(len(groups)),
        alternative=" ".join(["Falling curves, one per variant.", *said]),
    )


def fleet(rows: Sequence[Row]) -> ShownTable | None:
    """What returned, when, and what room is left."""
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.count(r["blocks"]),
            quantities.count(r["instances"]),
            over(
                quantities.share(r["back_share"]),
                quantities.share_range(r["back_share_low"], r["back_share_high"]),
            ),
            quantities.count(r["unplaced"]),
            *(_time(r, name) for name in ("median", "down", "last")),
            over(_places(r["capacity_left"]), _places_range(r)),
            quantities.count(r["false_alarms"]),
        )
        for r in rows
    ]
    heads = (
        *("Conditions", "Variant", "Losses", "Instances", "Back", "No place", "Median return"),
        *("Expected downtime", "Last return", "Places left", "False alarms"),
    )
    caption = (
        "Back: share of the lost host's instances that answered elsewhere by the deadline. Median: "
        "Kaplan–Meier. Expected downtime: mean time away, counted up to the deadline at most. Last "
        "return: "
        "mean over losses from which all came back. Places left: on all survivors together. Second "
        "line: "
        "95 % interval."
    )
    return assemble("What returned, and when", caption, heads, body, "fleet")


def _time(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}{end}_ns"] for end in ("", "_low", "_high"))
    if value is not None and math.isinf(value):
        return over("not reached", quantities.duration_range(low, high))
    return over(quantities.duration(value), quantities.duration_range(low, high))


def _places(value: float | None) -> str:
    return quantities.NOT_AVAILABLE if value is None else quantities.digits(value)


def _places_range(row: Row) -> str:
    low, high = row["capacity_left_low"], row["capacity_left_high"]
    return quantities.NOT_AVAILABLE if low is None else f"{_places(low)} to {_places(high)}"
