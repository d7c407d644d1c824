"""capacity: how many hosts a demand needs, from what was measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.folders import gathered_in
from orchestrator.cli.options import JsonOption
from orchestrator.cli.outputs import say
from orchestrator.cli.tabulate import tabulate

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.section import ShownTable

DemandOption = Annotated[Path, typer.Option("--demand", help="What must be carried (YAML).")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(capacity)


def capacity(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A dataset, or a results folder that has one.")
    ],
    demand: DemandOption,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the page and all tables into this folder.")
    ] = None,
    as_json: JsonOption = False,
    include_suspect: Annotated[
        bool, typer.Option("--include-suspect", help="Count suspect trials as if they were valid.")
    ] = False,
) -> None:
    """Say how many hosts a demand needs, what binds, and how sure that is."""
    from analysis.capacity.section import plan_for
    from analysis.capacity.tables import as_json as written
    from analysis.dataset import open_dataset
    from analysis.report import write_page

    with open_dataset(gathered_in(dataset), include_suspect=include_suspect) as opened:
        found = plan_for(opened, demand)
        if out is not None:
            write_page(opened, out / "capacity.html", [found.section], (found.tables, found.fields))
    if as_json:
        typer.echo(json.dumps(written(found.answer), indent=2, ensure_ascii=False, allow_nan=False))
        return
    for line in _lines(found.answer):
        say(line)
    if out is not None:
        typer.echo(f"\nreport: {out / 'capacity.html'}")


def _lines(found: "Answer") -> Iterator[str]:
    """The answer for a terminal: the recommendation first, then what it rests on."""
    from analysis.capacity import shown, words

    yield from words.summary(found)
    cautions = words.caveats(found)
    if cautions:
        yield "\nBefore you rely on this"
        yield from (f"  - {text}" for text in cautions)
    for table in shown.tables(found):
        yield f"\n{table.title}"
        yield from _rows(table)
    yield "\nAssumptions"
    yield from (f"  - {text}" for text in found.assumptions)


def _rows(table: "ShownTable") -> Iterator[str]:
    rows = [table.columns, *table.rows]
    yield from (f"  {line}" for line in tabulate(rows))
    if table.left_out:
        yield f"  and {table.left_out} more rows: --out DIR writes all of them"
