"""validate, run: what begins with a campaign file."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import CampaignError, UseError
from orchestrator.cli.observing_options import takes_observing
from orchestrator.cli.options import (
    BrokerOption,
    JsonOption,
    KeysOption,
    ResultsOption,
    counted,
    takes_host,
)

if TYPE_CHECKING:
    from contract.campaign import Campaign
    from contract.observing import Observing
    from orchestrator.plan import Cell
    from workers.settings import HostSettings

CampaignArgument = Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="A campaign file (YAML).")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(validate)
    app.command()(run)


def read_cells(path: Path) -> "tuple[Campaign, tuple[Cell, ...]]":
    """A campaign file and its cells. Raises CampaignError with file, line and key."""
    from contract.campaign import load_campaign
    from orchestrator.plan import plan_cells
    from workers.discover import build_catalog

    campaign, source = load_campaign(path)
    return campaign, plan_cells(campaign, source, build_catalog())


def validate(
    campaigns: Annotated[
        list[Path], typer.Argument(metavar="CAMPAIGN...", help="Campaign files (YAML).")
    ],
) -> None:
    """Check campaign files: shape, names, parameters, and what drivers must be able to do."""
    complaints = []
    for path in campaigns:
        try:
            read, cells = read_cells(path)
        except CampaignError as error:
            complaints.append(str(error))
            continue
        per_host = len(cells) * read.blocks
        matrix = f"{counted(len(cells), 'cell')} × {counted(read.blocks, 'block')}"
        typer.echo(f"{path}: fine. {matrix} = {counted(per_host, 'trial')} per host.")
    if complaints:
        raise CampaignError("\n".join(complaints))


@takes_host
@takes_observing
def run(
    campaign: CampaignArgument,
    host: "HostSettings",
    observing: "Observing",
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
    keys: KeysOption = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="End with the dataset; `tonnage report` makes the page.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a campaign, or what is left of it: running it again is how it is resumed."""
    from contract.signing import Keys
    from orchestrator.cli.execution import Execution
    from orchestrator.cli.trial_filter import Choice

    if not local and not broker:
        raise UseError("say where to measure: --local for this machine, or --broker URL for a fleet")
    read, cells = read_cells(campaign)
    kept = tuple(cell for cell in cells if cell.driver not in (skip_driver or []))
    if not kept:
        raise UseError("--skip-driver leaves nothing to measure")
    execution = Execution(
        campaign=read,
        text=campaign.read_text(encoding="utf-8"),
        cells=kept,
        folder=results or Path("results") / read.campaign,
        rerun=_rerun(campaign, None if local else broker, results, keys),
        retry_failed=retry_failed,
        only=Choice(only or []),
        patience_s=patience_s,
        reported=not no_report,
        as_json=as_json,
        keys=Keys(keys) if keys and not local else None,
        observing=observing,
    )
    if local:
        execution.run_here(host)
    else:
        execution.run_on_fleet(str(broker))


def _rerun(campaign: Path, broker: str | None, results: Path | None, keys: Path | None) -> str:
    """The command that measures again what failed; without a broker here."""
    from contract.broker import without_password

    words = ["tonnage", "run", str(campaign), "--retry-failed"]
    words += ["--broker", without_password(broker)] if broker else ["--local"]
    words += ["--keys", str(keys)] if broker and keys else []
    words += ["--results", str(results)] if results else []
    return shlex.join(words)
