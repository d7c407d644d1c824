"""serve: the command itself. Nothing of the server is imported before it is called."""

from pathlib import Path
from typing import Annotated

import typer

from contract.errors import UseError
from orchestrator.cli.options import BrokerOption, KeysOption


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(serve)


def serve(
    broker: BrokerOption = None,
    results_root: Annotated[
        Path, typer.Option("--results-root", help="Folder of results folders, one per campaign.")
    ] = Path("results"),
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where to listen.")
    ] = "127.0.0.1:8080",
    token: Annotated[
        Path | None,
        typer.Option(
            "--token",
            envvar="TONNAGE_TOKEN_FILE",
            help="File with a secret: who enters it may start, cancel, release and sweep.",
        ),
    ] = None,
    campaigns: Annotated[
        Path | None,
        typer.Option("--campaigns", help="Folder of campaign files that may be started here."),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option("--host-name", help="A name that browsers reach this page by; repeatable."),
    ] = None,
    keys: KeysOption = None,
) -> None:
    """Show fleet, campaigns, comparisons and capacity as web pages, live, until interrupted."""
    from orchestrator.cli.serving.settings import settings_of

    settings = settings_of(listen, token, names=host_name or [])
    settings = settings.over(results_root, broker, campaigns, keys)
    try:
        from orchestrator.cli.serving.server import run_server
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("starlette", "uvicorn"):
            raise
        raise UseError(
            f"the web page needs {missing}, which is not installed: pip install 'tonnage[serve]'"
        ) from error
    run_server(settings, typer.echo)
