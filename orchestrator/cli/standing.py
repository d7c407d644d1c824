"""status, watch, cancel: a campaign that is under way, seen from beside its coordinator."""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.errors import UseError
from orchestrator.cli.options import BrokerOption, JsonOption, counted
from orchestrator.cli.outputs import say, say_json
from orchestrator.cli.tabulate import tabulate
from orchestrator.cli.uncollected import uncollected

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.cli.terminal.facts import Facts, FactsReader
    from orchestrator.fleet import HostEntry
    from orchestrator.sign_of_life import Coordinator
    from orchestrator.standing import HostStanding, Standing

FolderArgument = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="The campaign's results folder, results/CAMPAIGN.")
]
WATCH_EVERY_S = 2.0
READING_EVERY_S = 0.2
"""Once nothing more will come, and parts are still being read: nobody measures meanwhile."""
EXIT_MISSING = 3
MOST_HOSTS = 40
MOST_REASONS = 10


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(status)
    app.command()(watch)
    app.command()(cancel)


@uncollected()
def status(results: FolderArgument, broker: BrokerOption = None, as_json: JsonOption = False) -> None:
    """Say how far a campaign is: per host, what failed and why, and what hosts do now."""
    from contract.json_text import dump_bytes
    from orchestrator.results import Results
    from orchestrator.sign_of_life import SignReader
    from orchestrator.standing import StandingReader

    standing = StandingReader(Results(results)).read()
    coordinator = SignReader(results).read()
    if as_json:
        states = _states(broker)
        known = {name: states[name] for name in standing.hosts if name in states}
        at_work = asdict(coordinator) if coordinator is not None else None
        say_json(dump_bytes(standing.as_dict() | {"states": known, "coordinator": at_work}))
        return
    for line in _lines(standing, _seen(broker, standing), coordinator):
        say(line)


def watch(results: FolderArgument, broker: BrokerOption = None) -> None:
    """Follow a campaign until nothing is left to measure: a live screen, or lines when piped."""
    from rich.console import Console

    from orchestrator.cli.terminal.facts import FactsReader

    console = Console()
    closely = sys.stdout.isatty() and not console.is_dumb_terminal
    reader = FactsReader(results, broker, closely=closely)
    last = _watch_live(reader, console) if closely else _watch_in_lines(reader)
    if left := last.standing.left:
        say(f"{counted(left, 'trial')} not measured, and no coordinator is at work", err=True)
        raise typer.Exit(EXIT_MISSING)


def cancel(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's name.")],
    broker: BrokerOption = "redis://127.0.0.1:6379/0",
    now: Annotated[
        bool, typer.Option("--now", help="End running trials too; what they had is not kept.")
    ] = False,
) -> None:
    """End a campaign on a fleet. What was measured is kept; `tonnage run` takes up the rest."""
    from contract import wire
    from contract.broker import broker_errors, connect

    client = connect(str(broker))
    with broker_errors(str(broker)):
        said = client.get(wire.run_key(campaign))
        if said is None:
            raise UseError(f"no coordinator runs campaign '{campaign}' on this broker")
        run = _claim(said)
        word = wire.CANCEL_NOW if now else wire.CANCEL_QUEUED
        client.set(wire.cancel_key(run["run"]), word, ex=wire.STREAM_TTL_S)
    running = "running trials are ended" if now else "running trials are finished and kept"
    say(f"{campaign}: cancelled at its coordinator on {run['machine']}; {running}")


def _claim(said: bytes) -> dict[str, Any]:
    """Who runs a campaign, as its coordinator left it on the broker. Raises UseError."""
    from contract.strict_json import read_json

    try:
        run = read_json(said, max_bytes=10_000)
        return {"run": str(run["run"]), "machine": str(run["machine"])}
    except (ValueError, TypeError, LookupError) as error:
        raise UseError(f"the claim on this campaign is none of ours: {error}") from error


def _watch_live(reader: "FactsReader", console: "Console") -> "Facts":
    from orchestrator.cli.terminal.screen import Screen, shown_live
    from orchestrator.cli.terminal.words import headline

    facts = reader.read()  # what is wrong with folder and broker is said on the terminal as it is
    try:
        with shown_live(console) as show:
            show(facts)
            for newer in _until_over(reader, facts):
                facts = newer
                show(facts)
    except BaseException:
        say(headline(facts.standing))
        raise
    console.print(Screen(facts, console.height - 1))
    return facts


def _watch_in_lines(reader: "FactsReader") -> "Facts":
    from orchestrator.cli.terminal.lines import Changes

    facts, changes = reader.read(), Changes()
    for line in changes.lines(facts):
        say(line)
    for newer in _until_over(reader, facts):
        facts = newer
        for line in changes.lines(facts):
            say(line)
    return facts


def _until_over(reader: "FactsReader", facts: "Facts") -> "Iterator[Facts]":
    """One reading after another, none when all was there at the first; at most a third of the time."""
    took_s = 0.0
    while not (facts.over and facts.parts_whole):
        time.sleep(READING_EVERY_S if facts.over else max(WATCH_EVERY_S, 2 * took_s))
        began_s = time.monotonic()
        facts = reader.read()
        took_s = time.monotonic() - began_s
        yield facts


def _seen(broker: str | None, standing: "Standing") -> "dict[str, HostEntry]":
    """Those hosts that are shown, as the broker has them."""
    if broker is None:
        return {}
    from contract.broker import broker_errors, connect
    from orchestrator.fleet import read_fleet

    client = connect(broker)
    with broker_errors(broker):
        return read_fleet(client, [name for name, _ in _worst_first(standing)])


def _states(broker: str | None) -> dict[str, str]:
    if broker is None:
        return {}
    from contract.broker import broker_errors, connect
    from orchestrator.fleet import read_states

    client = connect(broker)
    with broker_errors(broker):
        return read_states(client)


def _lines(
    standing: "Standing", fleet: "dict[str, HostEntry]", coordinator: "Coordinator | None"
) -> Iterator[str]:
    from orchestrator.cli.terminal.words import coordinator_in_words, headline

    yield headline(standing)
    if standing.left:
        yield coordinator_in_words(coordinator)
    rows: list[tuple[str, ...]] = [("HOST", "STATE", "PLANNED", "COMPLETED", "OTHER", "LEFT", "NOW")]
    for name, host in _worst_first(standing):
        entry = fleet.get(name)
        completed = host.outcomes["completed"]
        other = host.outcomes.total() - completed
        numbers = (host.planned, completed, other, host.left)
        state = entry.state if entry else "-"
        rows.append((name, state, *map(str, numbers), _now(entry.activity) if entry else "-"))
    yield from tabulate(rows)
    if len(standing.hosts) > MOST_HOSTS:
        yield f"… {len(standing.hosts) - MOST_HOSTS} hosts more"
    for why, count in standing.reasons.most_common(MOST_REASONS):
        yield f"{count} × {why}"


def _worst_first(standing: "Standing") -> "list[tuple[str, HostStanding]]":
    """Those hosts that are shown."""
    return nsmallest(MOST_HOSTS, standing.hosts.items(), key=lambda item: (-item[1].left, item[0]))


def _now(activity: dict[str, Any]) -> str:
    if not activity:
        return "-"
    since_s = max(0, round(time.time() - activity["since_ns"] / 1e9))
    return f"{activity['experiment']} {activity['driver']}/{activity['profile']} for {since_s} s"
