"""The tables of the screen: experiments, hosts, reasons, and what ended last."""

import time
from collections import defaultdict
from collections.abc import Iterable

from analysis import quantities
from analysis.cells import variant_name
from orchestrator.cli.terminal.facts import Facts
from orchestrator.cli.terminal.figures import Glyphs, bar, spark
from orchestrator.cli.terminal.hosts import HostFacts
from orchestrator.cli.terminal.layout import Cell, Column, Section
from orchestrator.cli.views.reading import Share
from orchestrator.cli.views.ready_times import Key, ReadyTimes
from orchestrator.cli.views.words import grouped

BAR_CELLS = 10
SPARK_CELLS = 16
FEWEST_FOR_P95 = 60
"""Attempts from which a p95 has an interval at 95 %: the 59th power of 0.95 is less than 0.05."""
BAD, ODD, GOOD, QUIET = "red", "yellow", "green", "dim"
OF_VERDICT = {"valid": GOOD, "suspect": ODD, "invalid": BAD}


def experiments(facts: Facts, glyphs: Glyphs) -> Section:
    """A row for every variant of every experiment; what is finished comes last."""
    columns = (
        Column("EXPERIMENT"),
        Column("VARIANT"),
        Column("ENDED", right=True),
        Column("", drop=4),
        Column("VALID", right=True, drop=1),
        Column("SUSPECT", right=True),
        Column("INVALID", right=True),
        Column("READY p50", right=True),
        Column("p95", right=True, drop=2),
        Column("SHAPE", drop=3),
    )
    bounds = _bounds(facts)
    rows = []
    for key, share in sorted(facts.shares.items(), key=_unfinished_first):
        experiment, driver, profile = key
        ended = share.outcomes.total()
        (cells,) = bar([ended], share.planned, BAR_CELLS)
        style = QUIET if ended == share.planned else ""
        rows.append(
            (
                Cell(experiment, style),
                Cell(variant_name(driver, profile), style),
                Cell(f"{ended:,}/{share.planned:,}", style),
                Cell(glyphs.full * cells + glyphs.empty * (BAR_CELLS - cells), style or GOOD),
                *(_count(share.verdicts[word], OF_VERDICT[word]) for word in OF_VERDICT),
                *_times(facts, key, glyphs, bounds.get(experiment)),
            )
        )
    return Section(columns, rows, "variants more", share=2, least=3)


def _unfinished_first(item: tuple[Key, Share]) -> tuple[bool, Key]:
    return item[1].outcomes.total() == item[1].planned, item[0]


def _count(number: int, style: str) -> Cell:
    return Cell(f"{number:,}", style) if number else Cell("0", QUIET)


def _bounds(facts: Facts) -> dict[str, tuple[int, int]]:
    """From which bucket to which the shapes of an experiment are drawn: one scale for all variants."""
    found: dict[str, list[int]] = defaultdict(list)
    for (experiment, _, _), worth in facts.parts.variants.items() if facts.parts else ():
        buckets = worth.evidence[1].buckets
        found[experiment] += [min(buckets), max(buckets)] if buckets else []
    return {experiment: (min(ends), max(ends)) for experiment, ends in found.items() if ends}


def _times(facts: Facts, key: Key, glyphs: Glyphs, bounds: tuple[int, int] | None) -> list[Cell]:
    if facts.parts is None or key not in facts.parts.variants:
        return [Cell("")] * 3
    doubted, times = facts.parts.variants[key].evidence
    style = ODD if doubted else ""
    p95 = _took(times.quantile_ns(0.95)) if times.attempts >= FEWEST_FOR_P95 else ""
    return [
        Cell(_took(times.quantile_ns(0.5)), style),
        Cell(p95, style),
        Cell(_shape(times, glyphs, bounds)),
    ]


def _shape(times: ReadyTimes, glyphs: Glyphs, bounds: tuple[int, int] | None) -> str:
    return spark(glyphs, times.shape(*bounds, SPARK_CELLS)) if bounds and times.buckets else ""


def _took(ns: float | None) -> str:
    return "" if ns is None else quantities.duration(ns)


def hosts(found: list[HostFacts]) -> Section:
    """A row for every host that fits, in the order given."""
    known = any(host.state for host in found)
    columns = [Column("HOST"), Column("ENDED", right=True), Column("OTHER", right=True)]
    columns += [Column("LEFT", right=True)]
    if known:
        columns[1:1] = [Column("STATE")]
        columns += [Column("CLOCK", right=True, drop=1), Column("NOW", flex=True)]
    rows = [tuple(_host_cells(host, known=known)) for host in found]
    return Section(columns, rows, "hosts more", share=2, least=3)


def _host_cells(host: HostFacts, *, known: bool) -> Iterable[Cell]:
    standing = host.standing
    yield Cell(host.name, QUIET if not standing.left else "")
    if known:
        yield Cell(host.state, BAD if host.is_away else GOOD if host.state == "busy" else QUIET)
    yield Cell(f"{standing.outcomes.total():,}/{standing.planned:,}")
    yield _count(host.failed, BAD)
    yield _count(standing.left, "")
    if known:
        offset_ns = host.row.offset_ns if host.row is not None else None
        yield Cell(_offset(offset_ns), ODD if host.clock_is_off else QUIET)
        yield Cell(host.now, BAD if host.is_away else "")


def _offset(ns: int | None) -> str:
    if ns is None:
        return ""
    return f"{'-' if ns < 0 else '+'}{quantities.duration(abs(ns))}"


def reasons(facts: Facts) -> Section:
    """Why trials did not complete, and why those that did are not valid: most frequent first."""
    columns = (Column("TRIALS", right=True), Column("BECAME"), Column("WHY", flex=True))
    doubts = facts.parts.doubts.items() if facts.parts is not None else ()
    found = [(count, "not completed", BAD, why) for why, count in grouped(facts.standing.reasons)]
    for verdict, of_it in doubts:
        found += [(n, verdict, OF_VERDICT.get(verdict, ODD), why) for why, n in grouped(of_it)]
    found.sort(key=lambda one: -one[0])
    rows = [(Cell(f"{n:,}"), Cell(became, style), Cell(why)) for n, became, style, why in found]
    return Section(columns, rows, "reasons more")


def recent(facts: Facts) -> Section:
    """What ended last, the latest first."""
    columns = (
        Column("LAST"),
        Column("HOST"),
        Column("EXPERIMENT", drop=1),
        Column("VARIANT"),
        Column("OUTCOME"),
        Column("VERDICT"),
        Column("READY p50", right=True),
    )
    rows = [
        (
            Cell(time.strftime("%H:%M:%S", time.localtime(ended.at_s)), QUIET),
            Cell(trial.host),
            Cell(trial.experiment),
            Cell(variant_name(trial.driver, trial.profile)),
            Cell(ended.end.outcome, "" if ended.end.outcome == "completed" else BAD),
            Cell(ended.end.verdict, OF_VERDICT.get(ended.end.verdict, "")),
            Cell(_took(median_ns)),
        )
        for trial, ended, median_ns in facts.recent
    ]
    return Section(columns, rows)
