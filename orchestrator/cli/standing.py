"""status, watch, cancel: a campaign that is under way, seen from beside its coordinator."""

import sys
import time
from collections.abc import Iterator
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.errors import UseError
from contract.plain_text import printable
from orchestrator.cli.options import BrokerOption, JsonOption, counted
from orchestrator.cli.outputs import say, say_json
from orchestrator.cli.tabulate import tabulate
from orchestrator.cli.uncollected import uncollected

if TYPE_CHECKING:
    from orchestrator.fleet import HostEntry
    from orchestrator.standing import HostStanding, Standing, StandingReader

FolderArgument = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="The campaign's results folder, results/CAMPAIGN.")
]
WATCH_EVERY_S = 2.0
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
    from orchestrator.standing import StandingReader

    standing = StandingReader(Results(results)).read()
    if as_json:
        states = _states(broker)
        known = {name: states[name] for name in standing.hosts if name in states}
        say_json(dump_bytes(standing.as_dict() | {"states": known}))
        return
    for line in _lines(standing, _seen(broker, standing)):
        say(line)


def watch(results: FolderArgument, broker: BrokerOption = None) -> None:
    """Follow a campaign until nothing is left to measure: a live page, or lines when piped."""
    from orchestrator.results import Results
    from orchestrator.standing import StandingReader

    reader = StandingReader(Results(results))
    if sys.stdout.isatty():
        _watch_live(reader, broker)
        return
    said = ""
    for standing in _until_done(reader):
        line = _headline(standing)
        if line != said:
            say(line)
            said = line


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


def _watch_live(reader: "StandingReader", broker: str | None) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False) as live:
        for standing in _until_done(reader):
            said = "\n".join(_lines(standing, _seen(broker, standing)))
            live.update(Text(printable(said)), refresh=True)


def _until_done(reader: "StandingReader") -> "Iterator[Standing]":
    while True:
        standing = reader.read()
        yield standing
        if not standing.left:
            return
        time.sleep(WATCH_EVERY_S)


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


def _headline(standing: "Standing") -> str:
    done = standing.planned - standing.left
    outcomes = ", ".join(f"{count} {word}" for word, count in sorted(standing.outcomes.items()))
    verdicts = ", ".join(f"{count} {word}" for word, count in sorted(standing.verdicts.items()))
    said = f"{standing.campaign}: {done} of {counted(standing.planned, 'trial')} measured"
    return f"{said}; {outcomes}; verdicts: {verdicts}" if outcomes else said


def _lines(standing: "Standing", fleet: "dict[str, HostEntry]") -> Iterator[str]:
    yield _headline(standing)
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
