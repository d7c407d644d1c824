"""import: results of others become a dataset."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from contract.errors import UseError
from orchestrator.cli.options import JsonOption, counted
from orchestrator.cli.outputs import say
from orchestrator.importing import Form


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(name="import")(import_command)


def import_command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Files, or folders of files.")
    ],
    form: Annotated[Form, typer.Option("--format", help="What the files are.")],
    out: Annotated[Path, typer.Option("--out", help="The dataset's folder; not there, or empty.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="What the files hold (YAML).")
    ] = None,
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="The dataset's name; default: the mapping's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn results of others into a dataset that report, compare and export read."""
    import json

    from orchestrator.importing.reading import Order, import_results

    words = ["tonnage", "import", *map(str, sources), "--format", form.value, "--out", str(out)]
    words += ["--mapping", str(mapping)] if mapping else []
    words += ["--campaign", campaign] if campaign else []
    order = Order(tuple(sources), form, mapping, out, _checked(campaign), shlex.join(words))
    found = import_results(order)
    if as_json:
        counts = {"trials": len(found.records), "rows": found.rows, "failed": found.failed}
        named = {"dataset": str(found.dataset), "campaign": found.campaign}
        typer.echo(json.dumps(named | counts | {"unused": list(found.unused)}))
        return
    trials, rows = counted(len(found.records), "trial"), counted(found.rows, "row")
    typer.echo(f"{found.dataset}: {trials} with {rows}, {found.failed} of them failed.")
    if found.unused:
        say(f"not used: {', '.join(found.unused)}")


def _checked(campaign: str | None) -> str | None:
    from pydantic import TypeAdapter, ValidationError

    from contract.campaign import Name
    from contract.yaml_source import in_words

    try:
        return campaign and TypeAdapter(Name).validate_python(campaign)
    except ValidationError as error:
        allowed = in_words(error.errors()[0])
        raise UseError(f"--campaign: found {campaign!r}; allowed: {allowed}") from error
