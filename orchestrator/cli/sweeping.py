"""sweep --fleet: every host swept by its own worker, through the broker."""

import json
from typing import TYPE_CHECKING

import typer

from contract.errors import UseError
from orchestrator.cli.options import counted
from orchestrator.cli.outputs import say

if TYPE_CHECKING:
    from contract.sweeping import SweepAnswer

WAIT_S = 120.0
"""For all answers: a busy worker finishes its trial first."""


def sweep_by_workers(broker: str | None, host: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Ask the workers of all hosts that are alive, or of one; print what they found."""
    from contract.broker import broker_errors, connect
    from orchestrator.dispatch_celery import sweep_fleet
    from orchestrator.fleet import read_fleet

    if broker is None:
        raise UseError("--fleet needs --broker URL")
    client = connect(broker)
    with broker_errors(broker):
        alive = [name for name, entry in read_fleet(client).items() if entry.alive]
    asked = [name for name in alive if host in (None, name)]
    if not asked:
        raise UseError(f"no host '{host}' is alive" if host else "no host is alive")
    answers = sweep_fleet(broker, asked, dry_run=dry_run, wait_s=WAIT_S)
    mute = sorted(set(asked) - {answer.host for answer in answers})
    failed = [f"{answer.host}: {text}" for answer in answers for text in answer.failed]
    if as_json:
        said = {answer.host: answer.model_dump(mode="json") for answer in answers}
        typer.echo(json.dumps({"hosts": said, "mute": mute}))
    else:
        _say(answers, dry_run=dry_run)
    for text in [*failed, *(f"{name}: no answer within {WAIT_S:g} s" for name in mute)]:
        say(f"not swept: {text}", err=True)
    if failed or mute:
        raise typer.Exit(1)


def _say(answers: "list[SweepAnswer]", *, dry_run: bool) -> None:
    for answer in sorted(answers, key=lambda answer: answer.host):
        for one in answer.found:
            say(f"{one.driver:10} {one.kind:10} {one.name}  (host {one.host})")
        for note in answer.notes:
            say(f"{answer.host}: {note}", err=True)
    count = sum(len(answer.found) for answer in answers)
    done = "" if dry_run or not count else ", removed"
    typer.echo(f"{counted(count, 'leftover')} on {counted(len(answers), 'host')}{done}")
