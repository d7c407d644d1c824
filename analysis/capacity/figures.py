"""Figures of an answer: chance of a shortfall, what moves the answer, variants against each other."""

import math
from collections import defaultdict
from collections.abc import Sequence

import altair as alt
import numpy as np

from analysis import palette, plots, quantities
from analysis.capacity.answer import Answer, Difference, Plan
from analysis.capacity.words import best
from analysis.plots import Row
from analysis.section import Figure, LegendEntry

MOST_PANELS = 6
MOST_BARS = 8
"""Inputs in one tornado."""
MOST_PLACES = 60
"""Places of a distribution that are drawn."""
_HEIGHT = 220


def shortfall(answer: Answer) -> Figure | None:
    """Chance that hosts do not suffice against their number, a panel per shape and kind of plan."""
    drawable = [plan for plan in answer.plans if np.isfinite(plan.draws).any()]
    if not drawable:
        return None
    groups: dict[str, list[Plan]] = defaultdict(list)
    for plan in drawable:
        groups[_titled(plan)].append(plan)
    looks = palette.legend(list(dict.fromkeys(_label(plan) for plan in drawable)))
    panels = [_curves(title, some, looks) for title, some in list(groups.items())[:MOST_PANELS]]
    said = [
        f"{_titled(plan)}, {_label(plan)}: half of the draws need {_count(plan.hosts['p50'])} hosts or "
        f"more, one in twenty more than {_count(plan.hosts['p95'])}."
        for plan in drawable
    ]
    return Figure(
        title="Chance of a shortfall against the number of hosts",
        panels=plots.draw(_with_level(panels, 1 - answer.confidence)),
        legend=looks,
        caption="Share of the draws of demand and evidence in which more hosts are needed. A curve that "
        "does not reach 0 shows draws in which no number of hosts would do. The dotted level line is "
        "the chance that the demand accepts." + _left_out(len(groups)),
        alternative="Falling curves. " + " ".join(said),
    )


def _curves(title: str, plans: Sequence[Plan], looks: Sequence[LegendEntry]) -> Row:
    ends = [plan.draws[np.isfinite(plan.draws)] for plan in plans]
    low = max(0, int(min(np.quantile(end, 0.005, method="inverted_cdf") for end in ends)) - 1)
    high = int(max(np.quantile(end, 0.999, method="inverted_cdf") for end in ends)) + 1
    places = np.unique(np.linspace(low, high, MOST_PLACES).round())
    data = [
        {"v": _label(plan), "x": float(x), "y": float((plan.draws > x).mean())}
        for plan in plans
        for x in places
    ]
    axis = alt.Axis(title="chance of a shortfall", format="%", tickCount=5)
    lines = plots.chart(data).mark_line(interpolate="step-after", strokeWidth=2)
    drawn = lines.encode(
        x=alt.X("x:Q", scale=alt.Scale(domain=[low, high], nice=False), axis=_hosts_axis("hosts")),
        y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=axis),
        color=plots.colour(looks),
        strokeDash=plots.dash(looks),
    )
    return {"title": title, "chart": drawn, "height": _HEIGHT}


def _with_level(panels: Sequence[Row], level: float) -> list[Row]:
    rule = plots.chart([{"y": level}]).mark_rule(strokeDash=[2, 3], stroke="#b45309")
    scale = alt.Scale(domain=[0, 1])
    level_line = rule.encode(y=alt.Y("y:Q", scale=scale))
    return [panel | {"chart": alt.layer(panel["chart"], level_line)} for panel in panels]


def influences(answer: Answer) -> Figure | None:
    """What each input moves, a panel per recommended plan."""
    plans = [
        plan
        for plan in best(answer.plans)
        if plan.basis == "measured" and any(math.isfinite(i.hosts_high) for i in plan.influences)
    ]
    if not plans:
        return None
    looks = (
        LegendEntry("input at its lower end", palette.COLOURS[0], None, "circle"),
        LegendEntry("input at its upper end", palette.COLOURS[1], None, "circle"),
    )
    said = [
        f"{_titled(plan)}, {_label(plan)}: {one.name} moves it from {_count(one.hosts_low)} to "
        f"{_count(one.hosts_high)} hosts."
        for plan in plans
        for one in plan.influences[:1]
    ]
    return Figure(
        title="What moves the number of hosts",
        panels=plots.draw([_tornado(plan, looks) for plan in plans[:MOST_PANELS]], wide=True),
        legend=looks,
        caption="Each input over its 95 % interval, all others at their point; the line is the answer "
        "with everything at its point." + _left_out(len(plans)),
        alternative="Bars around a line, the longest on top. " + " ".join(said),
    )


def _tornado(plan: Plan, looks: Sequence[LegendEntry]) -> Row:
    centre = plan.needs[-1].hosts
    shown = [
        one
        for one in plan.influences
        if all(math.isfinite(end) for end in (one.hosts_low, one.hosts_high, centre))
    ][:MOST_BARS]
    data = [
        {"n": one.name, "v": look.label, "low": min(centre, end), "high": max(centre, end)}
        for one in shown
        for look, end in zip(looks, (one.hosts_low, one.hosts_high), strict=True)
    ]
    names = [one.name for one in shown]
    scale = alt.Scale(zero=False, nice=True)
    ends = [float(str(end)) for row in data for end in (row["low"], row["high"])]
    axis = _hosts_axis("hosts", max(ends, default=1) - min(ends, default=0))
    bars = (
        plots.chart(data)
        .mark_bar(size=14)
        .encode(
            x=alt.X("low:Q", scale=scale, axis=axis),
            x2="high:Q",
            y=alt.Y(
                "n:N", sort=names, axis=plots.names(limit=230, longest=max(map(len, names), default=0))
            ),
            color=plots.colour(looks),
        )
    )
    rule = plots.chart([{"low": centre}]).mark_rule(strokeWidth=1.5, stroke="#7f7f7f")
    line = rule.encode(x=alt.X("low:Q", scale=scale, axis=axis))
    title = f"{_titled(plan)}, {_label(plan)}"
    return {"title": title, "chart": alt.layer(bars, line), "height": 26 * max(1, len(shown)) + 44}


def differences(answer: Answer) -> Figure | None:
    """How many hosts one variant needs more than another, as a distribution."""
    some = [one for one in answer.differences if not one.withheld and one.basis == "measured"]
    if not some:
        return None
    looks = palette.legend(list(dict.fromkeys(_pair(one) for one in some)))
    panels = [_distribution(one, looks) for one in some[:MOST_PANELS]]
    said = [
        f"{one.shape} on {one.host_class}, {_pair(one)}: median {_count(one.p50)}, 90 of 100 draws from "
        f"{_count(one.p5)} to {_count(one.p95)}."
        for one in some
    ]
    return Figure(
        title="Hosts that one variant needs more than another",
        panels=plots.draw(panels),
        legend=looks,
        caption="For the same demand in every draw. The grey line is no difference."
        + _left_out(len(some)),
        alternative="Distributions of differences. " + " ".join(said),
    )


def _distribution(one: Difference, looks: Sequence[LegendEntry]) -> Row:
    low, high = (float(end) for end in np.quantile(one.draws, (0.001, 0.999), method="inverted_cdf"))
    width = max(1.0, math.ceil((high - low + 1) / MOST_PLACES))
    edges = np.arange(low - 0.5, high + width + 0.5, width)
    counts, _ = np.histogram(one.draws, bins=edges)
    data = [
        {"v": _pair(one), "low": float(a), "high": float(a + width), "y": float(n / one.draws.size)}
        for a, n in zip(edges[:-1], counts, strict=True)
    ]
    left, right = min(low - 0.5, -0.5), max(high + width, 0.5)
    scale = alt.Scale(domain=[left, right], nice=False)
    x = alt.X("low:Q", scale=scale, axis=_hosts_axis("hosts more"))
    bars = plots.chart(data).mark_bar(stroke=None)
    drawn = bars.encode(
        x=x,
        x2="high:Q",
        y=alt.Y("y:Q", axis=alt.Axis(title="share of draws", format="%", tickCount=5)),
        y2=alt.value(_HEIGHT),
        color=plots.colour(looks),
    )
    zero = plots.chart([{"low": 0.0}]).mark_rule(strokeWidth=1.5, stroke="#7f7f7f").encode(x=x)
    return {
        "title": f"{one.shape} on {one.host_class}",
        "chart": alt.layer(drawn, zero),
        "height": _HEIGHT,
    }


def _hosts_axis(title: str, span: float = math.inf) -> alt.Axis:
    """Whole hosts only: no more ticks than hosts within ``span``."""
    count = max(1, math.floor(min(6, span)))
    return alt.Axis(title=title, format="~r", tickCount=count, tickMinStep=1, grid=False)


def _titled(plan: Plan) -> str:
    return plan.shape if plan.basis == "measured" else f"{plan.shape}, guaranteed"


def _label(plan: Plan) -> str:
    return f"{plan.variant} on {plan.host_class}"


def _pair(one: Difference) -> str:
    return f"{one.variant} less {one.baseline}"


def _count(number: float | None) -> str:
    if number is None or math.isinf(number):
        return "no number of"
    return f"{'−' if number < 0 else ''}{quantities.count(abs(number))}"


def _left_out(groups: int) -> str:
    more = groups - MOST_PANELS
    return f" {quantities.plural(more, 'further panel')} left out." if more > 0 else ""
