"""sweep --fleet: every host swept by its own worker, through the broker."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from contract.errors import UseError
from orchestrator.cli.options import counted
from orchestrator.cli.outputs import say

if TYPE_CHECKING:
    from contract.signing import Keys
    from contract.sweeping import SweepAnswer

WAIT_S = 120.0
"""For all answers: a busy worker finishes its trial first."""


def sweep_by_workers(
    broker: str | None, host: str | None, keys: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    """Ask the workers of all hosts that are alive, or of one; print what they found."""
    from contract.signing import Keys
    from orchestrator.fleet_sweep import FleetSweep

    if broker is None:
        raise UseError("--fleet needs --broker URL")
    known = Keys(keys) if keys else None
    asked, unbelieved = _whom_to_ask(broker, host, known)
    swept = FleetSweep(broker, asked, known).run(dry_run=dry_run, wait_s=WAIT_S, note=_say_error)
    answers = list(swept.answers.values())
    mute = sorted(set(asked) - {*swept.answers, *swept.refused})
    failed = [f"{answer.host}: {text}" for answer in answers for text in answer.failed]
    failed += [f"{name}: {why}" for name, why in sorted((swept.refused | unbelieved).items())]
    if as_json:
        said = {answer.host: answer.model_dump(mode="json") for answer in answers}
        typer.echo(json.dumps({"hosts": said, "mute": mute, "refused": swept.refused | unbelieved}))
    else:
        _say(answers, dry_run=dry_run)
    for text in [*failed, *(f"{name}: no answer within {WAIT_S:g} s" for name in mute)]:
        say(f"not swept: {text}", err=True)
    if failed or mute:
        raise typer.Exit(1)


def _whom_to_ask(broker: str, host: str | None, keys: "Keys | None") -> tuple[list[str], dict[str, str]]:
    """Hosts that are alive, and by name why some of them are not believed. Raises UseError."""
    from contract.broker import broker_errors, connect
    from orchestrator.fleet import read_fleet

    with broker_errors(broker):
        fleet = read_fleet(connect(broker), keys=keys)
    alive = [entry for name, entry in fleet.items() if entry.alive and host in (None, name)]
    if not alive:
        raise UseError(f"no host '{host}' is alive" if host else "no host is alive")
    if keys is None and (signing := next((entry.name for entry in alive if entry.signs), None)):
        raise UseError(
            f"host '{signing}' takes signed orders only; name the folder of the keys with --keys"
        )
    unbelieved = {entry.name: entry.unbelieved for entry in alive if entry.unbelieved}
    return [entry.name for entry in alive if not entry.unbelieved], unbelieved


def _say_error(text: str) -> None:
    typer.echo(text, err=True)


def _say(answers: "list[SweepAnswer]", *, dry_run: bool) -> None:
    for answer in sorted(answers, key=lambda answer: answer.host):
        for one in answer.found:
            say(f"{one.driver:10} {one.kind:10} {one.name}  (host {one.host})")
        for note in answer.notes:
            say(f"{answer.host}: {note}", err=True)
    count = sum(len(answer.found) for answer in answers)
    done = "" if dry_run or not count else ", removed"
    typer.echo(f"{counted(count, 'leftover')} on {counted(len(answers), 'host')}{done}")
