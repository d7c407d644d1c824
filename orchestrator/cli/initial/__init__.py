"""init: a first campaign for what is here, and what it will take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import ResultsError, UseError
from contract.nearest import did_you_mean
from orchestrator.cli.options import counted, takes_host

if TYPE_CHECKING:
    from orchestrator.cli.initial.found import Found
    from workers.settings import HostSettings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(init)


@takes_host
def init(
    host: "HostSettings",
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Campaign file to write; it must not be there yet.")
    ] = Path("campaign.yaml"),
    experiment: Annotated[
        list[str] | None,
        typer.Option("--experiment", help="What to measure; may be repeated. Default: lifecycle."),
    ] = None,
    driver: Annotated[
        list[str] | None,
        typer.Option("--driver", help="What to measure it with; may be repeated. Default: all found."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: fewer instances and blocks, short windows.")
    ] = False,
    pilot: Annotated[
        bool,
        typer.Option(
            "--pilot/--no-pilot", help="Try it for half a minute, and reckon time and disk from that."
        ),
    ] = True,
) -> None:
    """Write a commented campaign for the engines of this machine, and say what it will take."""
    from orchestrator.cli.initial.found import look_around
    from orchestrator.cli.initial.page import campaign_page
    from orchestrator.cli.initial.suited import EXPERIMENTS

    if file.exists():
        raise UseError(f"{file} is there already, and is left alone: say another name, or remove it")
    wanted = tuple(dict.fromkeys(experiment or ["lifecycle"]))
    _check_names("--experiment", wanted, EXPERIMENTS)
    found = look_around(host, _drivers(driver or []))
    text = campaign_page(file, wanted, found, quick=quick)
    _write_new(file, text)
    _say(file, found, host, pilot=pilot)


def _check_names(option: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    for name in names:
        if name not in allowed:
            hint = did_you_mean(name, allowed)
            raise UseError(f"{option}: found {name!r}; allowed: {', '.join(allowed)}{hint}")


def _drivers(names: list[str]) -> tuple[str, ...]:
    from workers.discover import build_catalog

    _check_names("--driver", tuple(names), tuple(build_catalog().drivers))
    return tuple(dict.fromkeys(names))


def _write_new(file: Path, text: str) -> None:
    """Never over anything, not even over what came a moment ago."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ResultsError(f"{file}: cannot be written: {error.strerror}") from error


def _say(file: Path, found: "Found", host: "HostSettings", *, pilot: bool) -> None:
    """What was written, what a pilot foretells, what to do next."""
    from contract.campaign import load_campaign
    from orchestrator.cli.pilot import estimate_here, say_estimate
    from orchestrator.plan import plan_cells
    from workers.discover import build_catalog

    campaign, source = load_campaign(file)
    cells = plan_cells(campaign, source, build_catalog())
    matrix = f"{counted(len(cells), 'cell')} × {counted(campaign.blocks, 'block')}"
    typer.echo(f"{file}: {matrix} = {counted(len(cells) * campaign.blocks, 'trial')} per host")
    for line in found.lines():
        typer.echo(f"  {line}")
    if pilot and any(cell.driver in found.present for cell in cells):
        say_estimate(estimate_here(campaign, cells, host, found.absent))
    typer.echo(f"next: tonnage plan {file}")
    typer.echo(f"      tonnage run {file} --local")
