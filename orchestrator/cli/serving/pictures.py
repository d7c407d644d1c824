"""Pictures of one experiment, out of what was observed: curves, climbs, dots and tables."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis import palette, plots, quantities
from analysis.curves import Climbs, climb_panel, size_axis
from analysis.metrics.base import Unit
from analysis.metrics.shown import value_in_words
from analysis.plots import Axis, Row
from analysis.section import Figure, LegendEntry, Panel, ShownTable
from orchestrator.cli.serving.glimpses.base import View
from orchestrator.cli.serving.observed import Observed
from orchestrator.cli.serving.worded import Worded, is_known, worded

Picture = Figure | ShownTable
Rest = Callable[[float], object]
"""Waits so many seconds."""

MOST_PANELS = 4
MOST_LINES = 24
"""Lines of dots in a panel."""
MOST_POINTS = 80
"""Of a curve."""
MOST_ROWS = 30
MOST_WORDS = 40
"""Values that are also said in words."""
RESTED = 2.0
"""Drawing keeps pages from being made, so between two panels it rests this many times as long."""
MOST_NEVER = 8
"""Lines of which the caption says how many attempts never got there."""
QUARTILES = "Bars hold the middle half of the values."
_LOG_FROM = 12.0


@dataclass(frozen=True, slots=True)
class Gallery:
    """All pictures of one experiment, under what they rest on."""

    experiment: str
    rests_on: str
    pictures: tuple[Picture, ...]


def gallery(
    experiment: str, observed: Observed, labels: Sequence[str], notes: Sequence[str], rest: Rest
) -> Gallery:
    """All pictures of an experiment. ``labels`` are the campaign's variants, so that looks are the same.

    ``notes`` are what else must be said of its numbers.
    """
    series = observed.series()
    extra = sorted({one.label for one in series} - set(labels))
    beside = palette.legend([*labels, *extra]), rest
    drawn = []
    for view in dict.fromkeys(one.place[0] for one in series):
        found = worded(view, [one for one in series if one.place[0] == view])
        if any(one.spread.counts for one in found):
            drawn.append(_KINDS[view.kind](view, found, beside))
    kept = tuple(one for one in drawn if one is not None)
    return Gallery(experiment, _counted(observed, notes), kept)


def warm_up() -> None:
    """Draw nothing once: the first drawing keeps pages waiting for long, better while none is asked."""
    plots.draw([plots.curve_panel("", [], (), plots.time_axis([], ""))])


def _counted(observed: Observed, notes: Sequence[str]) -> str:
    """What the pictures rest on."""
    failed, unplaced, aside = observed.failures, observed.unplaced, observed.set_aside
    suspect, no_room = observed.unused, observed.left_out
    of_these = f", {unplaced} of them in no picture: nothing else was measured there" if unplaced else ""
    said = [
        f"From {quantities.plural(observed.trials, 'trial')}, all hosts together",
        f"beside them {quantities.plural(failed, 'failed trial')}{of_these}" if failed else "",
        f"{suspect} suspect ones left out, since valid ones are there" if suspect else "",
        f"{aside} invalid or skipped ones left out" if aside else "",
        f"{no_room} left out for want of room" if no_room else "",
        *notes,
    ]
    return "; ".join(filter(None, said)) + "."


_Beside = tuple[Sequence[LegendEntry], Rest]
"""Looks of all variants, and how to rest."""


def _curves(view: View, found: Sequence[Worded], beside: _Beside) -> Picture | None:
    rows: list[Row] = [
        {"panel": one.conditions, "variant": one.label, "value_ns": value, "share": share}
        for one in found
        for value, share in one.spread.curve(MOST_POINTS)
    ]
    axis = _axis(view.what, view.unit, [value for one in found for value in one.spread.counts])
    groups = _grouped(rows, "panel")
    looks = _present(beside[0], rows)
    panels = [
        plots.curve_panel(name, some, looks, axis, of=view.of) for name, some in groups[:MOST_PANELS]
    ]
    never = [f"{_where(one)}{one.spread.never} of {one.spread.n}" for one in found if one.spread.never]
    hint = f"Never {view.done}: {_words(never, MOST_NEVER)}" if never else ""
    said = [f"{_where(one)}{_half(view, one)}" for one in found]
    caption = _caption(view, hint, len(groups))
    words = f"Rising curves, shares of {view.of} over time. " + _words(said)
    return Figure(view.title, _drawn(panels, beside[1]), looks, caption, words)


def _climbs(view: View, found: Sequence[Worded], beside: _Beside) -> Picture | None:
    rows: list[Row] = [
        {
            "panel": ", ".join(filter(None, (one.name, one.conditions))),
            "variant": one.label,
            "n": one.level,
            "value": one.spread.quantile(0.5),
            "up": True,
        }
        for one in sorted(found, key=lambda one: one.level)
        if is_known(one)
    ]
    if not rows:
        return None
    axis = _axis(view.what, view.unit, [row["value"] for row in rows])
    groups = sorted(_grouped(rows, "panel"), key=lambda item: -len(item[1]))
    looks = _present(beside[0], rows)
    panels = [climb_panel(name, Climbs(some, some), looks, axis) for name, some in groups[:MOST_PANELS]]
    said = []
    for name, some in groups:
        for label, own in _grouped(some, "variant"):
            last = own[-1]
            reached = f"{value_in_words(last['value'], view.unit)} at {last['n']:g}"
            said.append(f"{name + ': ' if name else ''}{label} {reached}")
    caption = _caption(view, "", len(groups))
    return Figure(view.title, _drawn(panels, beside[1]), looks, caption, "Lines. " + _words(said))


def _dots(view: View, found: Sequence[Worded], beside: _Beside) -> Picture | None:
    known = [one for one in found if is_known(one)]
    against = _baselines(known) if view.to_baseline else {}
    named = any(one.name for one in known)
    rows: list[Row] = []
    said = []
    for one in known:
        by = against.get(_beside_it(one), 0.0) if against else 1.0
        if by:
            low, middle, high = (one.spread.quantile(p) / by for p in (0.25, 0.5, 0.75))
            line = one.name if named else one.conditions or one.label
            row = {"name": line, "panel": one.conditions if named else "", "variant": one.label}
            rows.append(row | {"value_ns": middle, "low_ns": low, "high_ns": high})
            value = quantities.ratio(middle) if against else value_in_words(middle, view.unit)
            said.append(f"{_where(one)}{one.name + ' ' if one.name else ''}{value}")
    if not rows:
        return None
    unit: Unit = "ratio" if against else view.unit
    what = "times the bare process's median" if against else view.what
    axis = _axis(what, unit, [row[end] for row in rows for end in ("value_ns", "low_ns", "high_ns")])
    groups = _grouped(rows, "panel")
    looks = _present(beside[0], rows)
    panels = [plots.dot_panel(name, _cut(some), looks, axis) for name, some in groups[:MOST_PANELS]]
    lost = sum(one.spread.never for one in found)
    without = len(known) - len(rows)
    hint = [
        "Dots are medians of all values, those that never came among them.",
        QUARTILES,
        f"{lost} of {sum(one.spread.n for one in found)} never came." if lost else "",
        f"Not drawn, for want of a bare process beside them: {without}." if without else "",
        "Some lines are not drawn." if any(_is_cut(some) for _, some in groups) else "",
    ]
    caption = _caption(view, " ".join(filter(None, hint)), len(groups))
    wide = len(groups) == 1
    return Figure(view.title, _drawn(panels, beside[1], wide), looks, caption, "Dots. " + _words(said))


def _table(view: View, found: Sequence[Worded], _: _Beside) -> Picture | None:
    labels = list(dict.fromkeys(one.label for one in found))
    entries: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        middle = one.spread.quantile(0.5)
        whole = view.unit == "count" and middle.is_integer()
        said = quantities.count(middle) if whole else value_in_words(middle, view.unit)
        entries.setdefault((one.conditions, one.name), {})[one.label] = said
    apart = any(conditions for conditions, _ in entries)
    heads = ("Conditions", "What") if apart else ("What",)
    body = [
        (*key[not apart :], *(said.get(label, quantities.NOT_AVAILABLE) for label in labels))
        for key, said in entries.items()
    ]
    left_out = max(0, len(body) - MOST_ROWS)
    hint = f"{left_out} more rows are not shown." if left_out else ""
    return ShownTable(
        view.title,
        _caption(view, hint, 0),
        (*heads, *labels),
        tuple(body[:MOST_ROWS]),
        tuple(place >= len(heads) for place in range(len(heads) + len(labels))),
        full="",
    )


_KINDS = {"curve": _curves, "climb": _climbs, "dots": _dots, "table": _table}


def _caption(view: View, hint: str, groups: int) -> str:
    more = groups - MOST_PANELS
    left = f"{quantities.plural(more, 'more condition')} in the report." if more > 0 else ""
    return " ".join(filter(None, (view.caption, hint, left)))


def _words(said: Sequence[str], most: int = MOST_WORDS) -> str:
    more = f"; and {len(said) - most} more" if len(said) > most else ""
    return "; ".join(said[:most]) + more + "."


def _half(view: View, one: Worded) -> str:
    """How soon half of the values came, and how many never did."""
    never = f"{one.spread.never} of {one.spread.n} {view.of} never" if one.spread.never else ""
    middle = value_in_words(one.spread.quantile(0.5), view.unit)
    half = f"half {view.done} within {middle}" if is_known(one) else ""
    return ", ".join(filter(None, (half, never)))


def _where(one: Worded) -> str:
    return f"{one.label}{f', {one.conditions}' if one.conditions else ''}: "


def _grouped(rows: Sequence[Row], key: str) -> list[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return list(found.items())


def _lines(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["name"] for row in rows))


def _is_cut(rows: Sequence[Row]) -> bool:
    return len(_lines(rows)) > MOST_LINES


def _cut(rows: Sequence[Row]) -> list[Row]:
    kept = set(_lines(rows)[:MOST_LINES])
    return [row for row in rows if row["name"] in kept]


def _present(looks: Sequence[LegendEntry], rows: Sequence[Row]) -> tuple[LegendEntry, ...]:
    present = {row["variant"] for row in rows}
    return tuple(look for look in looks if look.label in present)


def _beside_it(one: Worded) -> tuple[str, str, bool]:
    """What must be equal in two dots before they may be compared."""
    return one.conditions, one.name, one.is_virtual


def _baselines(found: Sequence[Worded]) -> dict[tuple[str, str, bool], float]:
    """The bare process's median by what it is beside; the first one where it has several profiles.

    None at all while there is nothing else that one of them is beside.
    """
    medians: dict[tuple[str, str, bool], float] = {}
    for one in found:
        if one.is_baseline and one.spread.quantile(0.5) > 0:
            medians.setdefault(_beside_it(one), one.spread.quantile(0.5))
    others = {_beside_it(one) for one in found if not one.is_baseline}
    return medians if others & medians.keys() else {}


def _axis(what: str, unit: Unit, values: Sequence[float]) -> Axis:
    finite = [value for value in values if math.isfinite(value)]
    if unit == "ns":
        return plots.time_axis(finite, what)
    if unit == "bytes":
        return size_axis(finite, what)
    low, high = min(finite), max(finite)
    if low > 0 and high / low > _LOG_FROM:
        tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = tuple(m * 10.0**ten for ten in tens for m in (1, 2, 5))
        within = tuple(tick for tick in ticks if low / 1.15 <= tick <= high * 1.15)
        return Axis(what, 1, low / 1.15, high * 1.15, within, "format(datum.value, '~r')")
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(what, 1, min(0.0, low) if low < high / 3 else low - margin, high + margin)


def _drawn(panels: Sequence[Row], rest: Rest, wide: bool = False) -> tuple[Panel, ...]:
    width = plots.WIDE if wide or len(panels) == 1 else plots.HALF
    found = []
    for panel in panels:
        begun = time.monotonic()
        found.append(plots.draw_one(panel, width))
        rest(RESTED * (time.monotonic() - begun))
    return tuple(found)
