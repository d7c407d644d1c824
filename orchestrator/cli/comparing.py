"""compare: two datasets, or two parts of one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import UseError
from orchestrator.cli.folders import dataset_in
from orchestrator.cli.options import JsonOption
from orchestrator.cli.outputs import STANDARD_OUTPUT, only_one, put_text, say
from orchestrator.cli.tabulate import tabulate

if TYPE_CHECKING:
    from analysis.compare.comparison import Comparison, Options
    from analysis.compare.sides import Sides

SELECTED = "driver, profile, host, class, campaign, block, date or a parameter, such as concurrency=8."

MarkdownOption = Annotated[
    str | None,
    typer.Option(
        "--markdown", metavar="FILE", help="Write Markdown, as for a pull request; - prints it."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(compare)


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The baseline: results folder or dataset.")],
    b: Annotated[
        Path | None, typer.Argument(metavar="[B]", help="The new one; without it, two parts of A.")
    ] = None,
    of_a: Annotated[list[str] | None, typer.Option("--a", help=f"Only this of A: {SELECTED}")] = None,
    of_b: Annotated[list[str] | None, typer.Option("--b", help="Only this of B, likewise.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Compare this metric only; repeatable.")
    ] = None,
    floor: Annotated[
        str, typer.Option("--floor", help="Ratios this near to 1 make no difference.")
    ] = "5%",
    run_drift: Annotated[
        str,
        typer.Option("--run-drift", help="By how much a host drifts between two runs, one sigma."),
    ] = "2%",
    everything: Annotated[
        bool, typer.Option("--all", help="Show all stages and tails, changed or not.")
    ] = False,
    include_suspect: Annotated[
        bool,
        typer.Option(
            "--include-suspect", help="Count suspect trials beside valid ones; no verdict rests on them."
        ),
    ] = False,
    as_json: JsonOption = False,
    markdown: MarkdownOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the tables there, as Parquet, CSV and JSON.")
    ] = None,
) -> None:
    """Say what is faster, slower or equivalent between two datasets, or two parts of one."""
    from analysis.compare.comparison import FIELDS, Options
    from analysis.compare.document import as_document
    from analysis.compare.markdown import as_markdown
    from analysis.export import export_tables

    only_one({"--json": as_json, "--markdown -": markdown == STANDARD_OUTPUT})
    options = Options(
        parse_share("--floor", floor), parse_share("--run-drift", run_drift), tuple(metric or ())
    )
    found, names = _compare((a, b), (of_a or [], of_b or []), options, include_suspect=include_suspect)
    if out:
        export_tables(out, found.tables(), FIELDS)
    if markdown:
        put_text(markdown, as_markdown(found, *names))
    if as_json:
        typer.echo(json.dumps(as_document(found, *names), indent=1, ensure_ascii=False))
    elif markdown != STANDARD_OUTPUT:
        _print(found, names, everything=everything)


def _compare(
    folders: tuple[Path, Path | None],
    said: tuple[list[str], list[str]],
    options: "Options",
    *,
    include_suspect: bool,
) -> tuple["Comparison", tuple[str, str]]:
    from analysis.compare.comparison import check_metrics
    from analysis.compare.comparison import compare as compare_sides
    from analysis.compare.selection import parse_selection
    from analysis.compare.sides import sides_of
    from analysis.dataset import open_dataset

    selections = parse_selection(said[0], "--a"), parse_selection(said[1], "--b")
    paths = [dataset_in(folder).resolve() for folder in folders if folder is not None]
    with ExitStack() as stack:
        opened = {
            path: stack.enter_context(open_dataset(path, include_suspect=include_suspect))
            for path in dict.fromkeys(paths)
        }
        sides = sides_of((opened[paths[0]], opened[paths[-1]]), selections)
        check_metrics(sides, options.metrics)
        return compare_sides(sides, options), _names(folders, sides)


def _names(folders: tuple[Path, Path | None], sides: "Sides") -> tuple[str, str]:
    """What each side is, for people."""
    given = folders[0], folders[1] or folders[0]
    a, b = (
        f"{folder} ({side.selection})" if side.selection.terms else str(folder)
        for folder, side in zip(given, (sides.a, sides.b), strict=True)
    )
    return a, b


def parse_share(option: str, text: str) -> float:
    """A share that an option says: ``5%``. Raises UseError."""
    from analysis.metrics.shown import parse_amount

    found = parse_amount(text, "share")
    if found is None or not 0 <= found < 1:
        raise UseError(f"{option}: found {text!r}; allowed: a share from 0 to below 100%, such as 5%")
    return found


def _print(found: "Comparison", names: tuple[str, str], *, everything: bool) -> None:
    from analysis.compare import words

    say(f"A: {names[0]}\nB: {names[1]}\n\n{words.summary(found)}\n")
    shown, rest = (found.rows, ()) if everything else words.shown_and_rest(found.rows)
    if shown:
        for line in tabulate([words.COLUMNS, *(words.cells_of(row) for row in shown)]):
            say(line)
        typer.echo()
    if rest:
        left = f"{len(rest)} stages and tails are" if len(rest) > 1 else "1 stage or tail is"
        typer.echo(f"{left} not shown: --all shows them.")
    if found.differs:
        typer.echo("What differs besides:")
        for line in _differing(found, everything=everything):
            say(line)
    for sentence in (*found.alone, *found.notes, *words.method(found)):
        say(sentence)


def _differing(found: "Comparison", *, everything: bool) -> Iterator[str]:
    """Facts of both sides with their values; what one side alone says, such as its engine, in a line."""
    from analysis.compare.differing import NOT_SAID

    both = [d for d in found.differs if everything or NOT_SAID not in (d.a, d.b)]
    yield from tabulate([("", d.fact, f"{d.a} → {d.b}") for d in both])
    if everything:
        return
    for name, other in (("A", "b"), ("B", "a")):
        alone = [d.fact for d in found.differs if getattr(d, other) == NOT_SAID]
        if alone:
            yield f"  said by {name} alone, --all shows the values: {', '.join(alone)}"
