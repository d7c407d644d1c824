"""validate, plan, run: everything that begins with a campaign file."""

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.errors import UseError
from orchestrator.cli.options import (
    BrokerOption,
    JsonOption,
    ResultsOption,
    checked_names,
    counted,
    takes_host,
)

if TYPE_CHECKING:
    from contract.campaign import Campaign
    from orchestrator.plan import Cell
    from workers.settings import HostSettings

CampaignArgument = Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="A campaign file (YAML).")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(validate)
    app.command()(plan)
    app.command()(run)


def _read(path: Path) -> "tuple[Campaign, tuple[Cell, ...]]":
    from contract.campaign import load_campaign
    from orchestrator.plan import plan_cells
    from workers.discover import build_catalog

    campaign, source = load_campaign(path)
    return campaign, plan_cells(campaign, source, build_catalog())


def validate(campaign: CampaignArgument) -> None:
    """Check a campaign file: shape, names, parameters, and what drivers must be able to do."""
    read, cells = _read(campaign)
    per_host = len(cells) * read.blocks
    matrix = f"{counted(len(cells), 'cell')} × {counted(read.blocks, 'block')}"
    typer.echo(f"{campaign}: fine. {matrix} = {counted(per_host, 'trial')} per host.")


def plan(
    campaign: CampaignArgument,
    broker: BrokerOption = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Plan for hosts of this name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the cells of a campaign, the trials per host, and what cannot run where."""
    from orchestrator.plan import choose_hosts, plan_trials

    read, cells = _read(campaign)
    fleet = _fleet(broker) if broker else {}
    known = {name: entry for name, entry in fleet.items() if entry.alive}
    by_hand = checked_names(host or []) or ([] if broker else list(read.hosts.names) or ["this-host"])
    trials = plan_trials(read, cells, by_hand or choose_hosts(read, known))
    blocked = Counter(
        reason
        for trial in trials
        if trial.host in fleet
        for reason in [fleet[trial.host].why_not(trial.driver)]
        if reason
    )
    if as_json:
        typer.echo(json.dumps([t.model_dump(mode="json") | {"trial_id": t.trial_id} for t in trials]))
        return
    for cell in cells:
        differing = ", ".join(
            f"{key}={value}" for key, value in cell.params.items() if value is not None
        )
        typer.echo(f"{cell.experiment:12} {cell.driver}/{cell.profile:12} {differing}")
    hosts = sorted({trial.host for trial in trials})
    counts = (counted(len(cells), "cell"), counted(read.blocks, "block"), counted(len(hosts), "host"))
    typer.echo(f"{' × '.join(counts)} = {counted(len(trials), 'trial')}")
    for reason, count in blocked.items():
        typer.echo(f"cannot run: {counted(count, 'trial')}, {reason}")


@takes_host
def run(
    campaign: CampaignArgument,
    host: "HostSettings",
    broker: BrokerOption = None,
    local: Annotated[bool, typer.Option("--local", help="Measure on this machine, no broker.")] = False,
    results: ResultsOption = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Measure failed and partial trials again.")
    ] = False,
    skip_driver: Annotated[
        list[str] | None, typer.Option("--skip-driver", help="Leave this driver's cells out.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="KEY=VALUE: measure only these trials; the rest stays planned."),
    ] = None,
    patience_s: Annotated[
        float,
        typer.Option("--patience", min=1, help="Seconds to wait for a host or broker that is away."),
    ] = 60.0,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="End with the dataset; `tonnage report` makes the page.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a campaign, or what is left of it: running it again is how it is resumed."""
    from orchestrator.cli.execution import Execution
    from orchestrator.cli.trial_filter import chooser

    if not local and not broker:
        raise UseError("say where to measure: --local for this machine, or --broker URL for a fleet")
    read, cells = _read(campaign)
    kept = tuple(cell for cell in cells if cell.driver not in (skip_driver or []))
    if not kept:
        raise UseError("--skip-driver leaves nothing to measure")
    execution = Execution(
        campaign=read,
        text=campaign.read_text(encoding="utf-8"),
        cells=kept,
        folder=results or Path("results") / read.campaign,
        rerun=_rerun(campaign, broker, results, local=local),
        retry_failed=retry_failed,
        only=chooser(only or []),
        patience_s=patience_s,
        reported=not no_report,
        as_json=as_json,
    )
    if local:
        execution.run_here(host)
    else:
        execution.run_on_fleet(str(broker))


def _rerun(campaign: Path, broker: str | None, results: Path | None, *, local: bool) -> str:
    """The command that measures again what failed."""
    from contract.broker import without_password

    words = ["tonnage", "run", str(campaign), "--retry-failed"]
    words += ["--local"] if local else ["--broker", without_password(str(broker))]
    words += ["--results", str(results)] if results else []
    return shlex.join(words)


def _fleet(broker: str) -> dict[str, Any]:
    from contract.broker import broker_errors, connect
    from orchestrator.fleet import read_fleet

    client = connect(broker)
    with broker_errors(broker):
        return dict(read_fleet(client))
