"""worker, hosts, sweep: everything about hosts."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.observing_options import takes_observing
from orchestrator.cli.options import (
    BrokerOption,
    JsonOption,
    KeyOption,
    KeysOption,
    MaxMessageAgeOption,
    counted,
    labels_from,
    takes_host,
)
from orchestrator.cli.outputs import say, say_json
from orchestrator.cli.sweeping import sweep_by_workers
from orchestrator.cli.tabulate import tabulate
from orchestrator.cli.uncollected import uncollected

if TYPE_CHECKING:
    from contract.observing import Observing
    from orchestrator.fleet import HostEntry
    from workers.settings import HostSettings


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(worker)
    app.command()(hosts)
    app.command()(sweep)


@takes_host
@takes_observing
def worker(
    host: "HostSettings",
    observing: "Observing",
    broker: BrokerOption = "redis://127.0.0.1:6379/0",
    label: Annotated[
        list[str] | None,
        typer.Option("--label", envvar="TONNAGE_LABEL", help="KEY=VALUE to select by."),
    ] = None,
    simulate: Annotated[
        int, typer.Option("--simulate", min=0, max=20_000, help="Stand for this many simulated hosts.")
    ] = 0,
    first: Annotated[
        int, typer.Option("--first", min=1, help="Number of the first simulated host.")
    ] = 1,
    key: KeyOption = None,
    max_message_age_s: MaxMessageAgeOption = 86_400.0,
    events: Annotated[
        bool, typer.Option("--events", help="Tell Celery's events, for Flower; costs a little.")
    ] = False,
) -> None:
    """Measure on this host what the broker's coordinators ask for, one trial at a time."""
    from contract.log_lines import set_up, silence_output
    from workers.launch import Belief, run_simulated_workers, run_worker

    set_up(observing.log.model_copy(update={"host": host.name}))
    if observing.log.format == "json":
        silence_output()
    seen = observing.model_copy(update={"events": events})
    host = host.model_copy(update={"labels": labels_from(label or [])})
    belief = Belief(key, max_message_age_s)
    if simulate:
        numbers = range(first, first + simulate)
        run_simulated_workers(str(broker), host, numbers, belief, seen)
    else:
        run_worker(str(broker), host, belief, seen)


@uncollected()
def hosts(
    broker: BrokerOption = "redis://127.0.0.1:6379/0",
    forget: Annotated[
        list[str] | None, typer.Option("--forget", help="Take this host off the list; not while alive.")
    ] = None,
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Let campaigns use a quarantined host again.")
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="List messages that were refused instead, and why.")
    ] = False,
    keys: KeysOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the hosts that are registered on a broker: state, engines, memory, clock, current trial."""
    from contract.broker import broker_errors, connect
    from contract.signing import Keys
    from orchestrator.cli.refused import list_refused
    from orchestrator.fleet import each_host, forget_host, release_host

    known = Keys(keys) if keys else None
    client = connect(str(broker))
    with broker_errors(str(broker)):
        if refused:
            list_refused(client, known, as_json=as_json)
            return
        for name in forget or []:
            forget_host(client, name)
        for name in release or []:
            release_host(client, name)
        (_say_as_json if as_json else _say_fleet)(each_host(client, keys=known))


def _say_as_json(fleet: "Iterable[HostEntry]") -> None:
    from contract.json_text import dump_bytes

    said = (dump_bytes(entry.name) + b":" + dump_bytes(entry.as_dict()) for entry in fleet)
    say_json(b"{" + b",".join(said) + b"}")


def _say_fleet(fleet: "Iterable[HostEntry]") -> None:
    heads = ("HOST", "STATE", "ENGINES", "CPUS", "MEMORY", "FREE", "CLOCK OFFSET", "MEASURING", "LABELS")
    rows: list[tuple[str, ...]] = [heads]
    notes = []
    for entry in fleet:
        rows.append(_host_row(entry))
        if entry.unbelieved:
            notes.append(f"{entry.name}: {entry.unbelieved}")
        if entry.quarantine:
            notes.append(f"{entry.name} is in quarantine: {entry.quarantine['why']}")
    if len(rows) == 1:
        typer.echo("no host is registered; start `tonnage worker --broker URL` on each")
        return
    typer.echo("\n".join(tabulate(rows)))
    for note in notes:
        say(note)


def _host_row(entry: "HostEntry") -> tuple[str, ...]:
    present = [
        f"{name} {engine.get('version') or ''}".rstrip()
        for name, engine in entry.engines.items()
        if engine.get("present")
    ]
    beat, activity = entry.beat, entry.activity
    offset = (
        f"{beat['clock_offset_ns'] / 1e6:+.2f} ±{beat['clock_error_ns'] / 1e6:.2f} ms" if beat else "n/a"
    )
    return (
        entry.name,
        entry.state,
        ", ".join(present) or "none",
        str(entry.facts.get("cpu_count", "n/a")),
        _gib(entry.facts.get("mem_bytes")),
        _gib(beat.get("mem_available_bytes")),
        offset,
        f"{activity['experiment']} {activity['driver']}/{activity['profile']}" if activity else "-",
        ",".join(f"{key}={value}" for key, value in entry.labels.items()) or "-",
    )


@takes_host
def sweep(
    host: "HostSettings",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List only, remove nothing.")] = False,
    owner: Annotated[
        str | None, typer.Option("--host", help="Only what was made under this host name; default: all.")
    ] = None,
    fleet: Annotated[
        bool,
        typer.Option("--fleet", help="All hosts that are alive on the broker, by their workers."),
    ] = False,
    broker: BrokerOption = None,
    keys: KeysOption = None,
    as_json: JsonOption = False,
) -> None:
    """List and remove everything that Tonnage left on this host; foreign things are never touched."""
    from contextlib import nullcontext
    from dataclasses import asdict

    if fleet:
        sweep_by_workers(broker, owner, keys, dry_run=dry_run, as_json=as_json)
        return

    from workers.host_lock import host_lock, lock_holder
    from workers.sweeping import sweep_host

    if dry_run and (holder := lock_holder(host.state_dir)):
        typer.echo(f"note: {holder} is at work here; what it uses is listed too", err=True)
    with nullcontext() if dry_run else host_lock(host.state_dir, "tonnage sweep", owner or host.name):
        found, failed = sweep_host(host, owner, dry_run=dry_run, note=_say_error)
    if as_json:
        typer.echo(json.dumps({"found": [asdict(leftover) for leftover in found], "failed": failed}))
    else:
        for leftover in found:
            say(f"{leftover.driver:10} {leftover.kind:10} {leftover.name}  (host {leftover.host})")
        done = "" if dry_run or not found else ", removed"
        typer.echo(f"{counted(len(found), 'leftover')}{done}")
    for text in failed:
        say(f"not removed: {text}", err=True)
    if failed:
        raise typer.Exit(1)


def _say_error(text: str) -> None:
    say(text, err=True)


def _gib(size_bytes: object) -> str:
    return f"{size_bytes / 2**30:.1f} GiB" if isinstance(size_bytes, int | float) else "n/a"
