"""keys: the secrets that sign messages, one for each host."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from contract.errors import UseError
from orchestrator.cli.options import checked_names
from orchestrator.cli.tabulate import tabulate


class What(StrEnum):
    """What to do with keys."""

    MAKE = "make"
    LIST = "list"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(keys)


def keys(
    what: Annotated[What, typer.Argument(help="make or list")],
    host: Annotated[list[str] | None, typer.Argument(help="Hosts to make keys for.")] = None,
    folder: Annotated[
        Path, typer.Option("--dir", envvar="TONNAGE_KEYS", help="Folder of the keys: NAME.key for each.")
    ] = Path("keys"),
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new key where there is one already.")
    ] = False,
) -> None:
    """Make or list the keys with which coordinator and workers sign what they send each other."""
    from contract.signing import list_keys, make_keys

    if what is What.MAKE:
        if not host:
            raise UseError("say for which hosts: tonnage keys make h1 h2")
        for path in make_keys(folder, checked_names(host), replace=replace):
            typer.echo(path)
        return
    if host:
        raise UseError("list takes no hosts: it lists all keys of the folder")
    found = list_keys(folder)
    rows = [
        (name, getattr(key, "fingerprint", None) or f"unusable: {key}") for name, key in found.items()
    ]
    typer.echo("\n".join(tabulate([("HOST", "FINGERPRINT"), *rows])))
