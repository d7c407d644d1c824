"""export: single tables of a dataset, for other programs."""

import json
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import UseError
from contract.nearest import did_you_mean
from orchestrator.cli.folders import gathered_in
from orchestrator.cli.options import JsonOption, counted
from orchestrator.cli.outputs import say
from orchestrator.cli.tabulate import tabulate

if TYPE_CHECKING:
    from analysis.dataset import Dataset
    from analysis.exporting import Tables

STDOUT = Path("-")


class ExportFormat(StrEnum):
    """What a table can be written as."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(export)


def export(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset, or a results folder.")],
    table: Annotated[
        list[str] | None, typer.Option("--table", help="Table to write; may be repeated.")
    ] = None,
    form: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Default: by the ending of --out, else csv."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            help="KEY=VALUE: only trials of this experiment, host, driver, profile, verdict or class.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="File, folder for several tables, or - for standard output.")
    ] = STDOUT,
    list_only: Annotated[
        bool, typer.Option("--list", help="Only say which tables there are, with rows and meaning.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write tables of a dataset as Parquet, CSV, Arrow or JSON."""
    from analysis.dataset import open_dataset
    from analysis.exporting import Tables, choose

    if not list_only and not table:
        raise UseError("--table: which table? `tonnage export DATASET --list` names them")
    with open_dataset(gathered_in(dataset)) as opened:
        choose(opened, _chosen(where or []))
        if list_only:
            _list(opened, as_json=as_json)
            return
        written = _write(Tables(opened), list(dict.fromkeys(table or [])), form, out)
    if as_json and out != STDOUT:
        typer.echo(json.dumps(written))
    elif out != STDOUT:
        for path, rows in written.items():
            typer.echo(f"{path}: {counted(rows, 'row')}")


def _chosen(pairs: list[str]) -> dict[str, list[str]]:
    from analysis.exporting import WHERE

    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in WHERE:
            hint = did_you_mean(key, WHERE)
            raise UseError(f"--where: found {pair!r}; allowed: KEY=VALUE with {', '.join(WHERE)}{hint}")
        found.setdefault(key, []).append(value)
    return found


def _list(dataset: "Dataset", *, as_json: bool) -> None:
    from dataclasses import asdict

    from analysis.exporting import list_tables

    tables = list_tables(dataset)
    if as_json:
        typer.echo(json.dumps([asdict(table) for table in tables]))
        return
    rows = [(table.name, str(table.rows), table.meaning) for table in tables]
    for line in tabulate([("TABLE", "ROWS", "MEANING"), *rows]):
        say(line)


def _write(tables: "Tables", names: list[str], form: ExportFormat | None, out: Path) -> dict[str, int]:
    """Write every table; rows by path."""
    if out == STDOUT:
        _to_stdout(tables, names, form or ExportFormat.CSV)
        return {}
    into_folder = len(names) > 1 or out.is_dir()
    if not into_folder:
        form = form or _by_ending(out)
        return {str(out): _to_file(tables, names[0], form, out)}
    form = form or ExportFormat.CSV
    written = {}
    for name in names:
        path = out / f"{name}.{form.value}"
        written[str(path)] = _to_file(tables, name, form, path)
    return written


def _by_ending(out: Path) -> ExportFormat:
    with suppress(ValueError):
        return ExportFormat(out.suffix.removeprefix("."))
    raise UseError(f"--out {out}: its ending names no format; say --format")


def _to_file(tables: "Tables", name: str, form: ExportFormat, path: Path) -> int:
    from analysis.export import replace_file
    from analysis.exporting import write_stream

    stream, rows = tables.stream(name), 0

    def fill(temporary: Path) -> None:
        nonlocal rows
        with temporary.open("wb") as file:
            rows = write_stream(stream, form.value, file)

    replace_file(path, fill)
    return rows


def _to_stdout(tables: "Tables", names: list[str], form: ExportFormat) -> None:
    from analysis.exporting import write_stream

    if len(names) > 1:
        raise UseError(f"{len(names)} tables go into a folder: say --out FOLDER")
    binary = form in (ExportFormat.PARQUET, ExportFormat.ARROW)
    if binary and sys.stdout.isatty():
        raise UseError(f"{form} is not for a terminal: say --out FILE, or let another program read it")
    write_stream(tables.stream(names[0]), form.value, sys.stdout.buffer)
    sys.stdout.buffer.flush()
