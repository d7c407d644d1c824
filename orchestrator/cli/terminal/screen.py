"""One screen of a campaign, made for the size that the terminal has at that moment."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from contract.plain_text import printable
from orchestrator.cli.terminal import sections
from orchestrator.cli.terminal.facts import Facts
from orchestrator.cli.terminal.figures import Glyphs, bar, glyphs_for
from orchestrator.cli.terminal.hosts import HostFacts, hosts_of, states_in_words
from orchestrator.cli.terminal.layout import Section, lay_out, share_out
from orchestrator.cli.terminal.words import coordinator_in_words
from orchestrator.cli.views.words import span

AIRY_LINES = 32
"""Terminals that are as high have empty lines between the tables."""
STATE_STYLES = {"running": "bold green", "done": "bold", "incomplete": "bold yellow"}


class Screen:
    """A campaign at one moment, in as many lines as the terminal has, or fewer."""

    def __init__(self, facts: Facts, most_lines: int = 1000) -> None:
        self._facts, self._most_lines = facts, most_lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, min(options.height or console.height, self._most_lines)
        for line in page(self._facts, width, height, glyphs_for(options.encoding)):
            line.plain = line.plain.encode(options.encoding, "replace").decode(options.encoding)
            yield line


def page(facts: Facts, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Lines of at most this width, not more than this height."""
    hosts = hosts_of(facts)
    lines = list(_head(facts, hosts, width, glyphs))[: max(1, height)]
    tables = [
        sections.experiments(facts, glyphs),
        sections.hosts(hosts),
        sections.reasons(facts),
        sections.recent(facts),
    ]
    shown = [table for table in tables if table.rows]
    return [*lines, *_tables(shown, width, height - len(lines), airy=height >= AIRY_LINES)]


def _tables(shown: list[Section], width: int, lines: int, *, airy: bool) -> Iterator[Text]:
    given = share_out(lines - len(shown) * airy, shown)
    spare = lines - len(shown) * airy - sum(given)
    for table, room in zip(shown, given, strict=True):
        body = lay_out(table, room, width, spare)
        spare = max(0, spare - max(0, len(body) - room))
        if body and airy:
            yield Text()
        yield from body


def _head(facts: Facts, hosts: list[HostFacts], width: int, glyphs: Glyphs) -> Iterator[Text]:
    standing, state = facts.standing, facts.state
    first = Text(printable(standing.campaign), style="bold", no_wrap=True)
    first.append(f"  {state}", style=STATE_STYLES[state])
    clock = time.strftime("%H:%M:%S")
    said = printable(coordinator_in_words(facts.coordinator)) if state != "done" else ""
    is_dead = facts.coordinator is not None and not facts.running
    first.append("" if is_dead else f"  {said}", style="dim")
    first.truncate(max(1, width - len(clock) - 2), overflow="ellipsis", pad=True)
    yield _fit(first.append(f"  {clock}", style="dim"), width)
    if is_dead and said:
        yield _fit(Text(said, style="yellow"), width)
    yield _fit(_progress(facts, width, glyphs), width)
    how = _counts(standing.outcomes) or "nothing has ended yet"
    verdicts = _counts(standing.verdicts)
    yield _fit(Text(how + (f"; verdicts: {verdicts}" if verdicts else "")), width)
    count = f"{len(hosts):,} host{'s' if len(hosts) != 1 else ''}"
    states = states_in_words(hosts)
    yield _fit(Text(f"{count}: {states}" if states else count), width)
    if facts.fleet is not None and facts.fleet.problem:
        yield _fit(Text(f"hosts are not known: {printable(facts.fleet.problem)}", style="red"), width)
    if said := _of_parts(facts):
        yield _fit(Text(said, style="dim"), width)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in sorted(counts.items()) if count)


def _progress(facts: Facts, width: int, glyphs: Glyphs) -> Text:
    standing = facts.standing
    done = standing.planned - standing.left
    share = f"{100 * done // standing.planned} %" if standing.planned else ""
    said = f" {done:,} of {standing.planned:,} trials measured, {share}"
    if facts.state == "running":
        left = "time left not known yet" if facts.left_s is None else f"about {span(facts.left_s)} left"
        said += f", {left}"
    cells = max(0, min(60, width - len(said)))
    completed = standing.outcomes["completed"]
    whole, other = bar([completed, standing.outcomes.total() - completed], standing.planned, cells)
    line = Text(glyphs.full * whole, style="green", no_wrap=True)
    line.append(glyphs.full * other, style="red")
    line.append(glyphs.empty * (cells - whole - other), style="dim")
    return line.append(said, style="default")


def _of_parts(facts: Facts) -> str:
    """What is to be known of the times that are shown."""
    if facts.parts is None or not facts.parts.variants:
        return ""
    said = [
        "times are simulated, not real" if facts.parts.virtual else "",
        "of a random sample" if facts.parts.sampled else "",
        "" if facts.parts_whole else "still being read",
    ]
    return "; ".join(filter(None, said))


def _fit(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


@contextmanager
def shown_live(console: Console) -> Iterator[Callable[[Facts], None]]:
    """A screen of its own while the block runs; the terminal is afterwards as it was before.

    SIGTERM and SIGHUP end the block as well, with SystemExit.
    """

    def leave(sign: int, _: FrameType | None) -> None:
        sys.exit(128 + sign)

    before = {sign: signal.signal(sign, leave) for sign in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            yield lambda facts: live.update(Screen(facts), refresh=True)
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
