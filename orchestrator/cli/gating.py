"""gate: rules that a dataset must meet before something may be released."""

import json
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.comparing import MarkdownOption, parse_share
from orchestrator.cli.folders import dataset_in
from orchestrator.cli.options import JsonOption
from orchestrator.cli.outputs import STANDARD_OUTPUT, only_one, put_text, say
from orchestrator.cli.tabulate import tabulate

if TYPE_CHECKING:
    from analysis.gate.outcome import GateOutcome

EXIT_GATE = 4


class Undecided(StrEnum):
    """What a rule counts as that the data cannot decide."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - a word, no secret


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(gate)


def gate(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A results folder, or a dataset inside one.")
    ],
    rules: Annotated[Path, typer.Option("--rules", help="File of rules (YAML).")],
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="What rules compare with: folder as DATASET.")
    ] = None,
    undecided: Annotated[
        Undecided, typer.Option("--undecided", help="What too few data count as.")
    ] = Undecided.FAIL,
    run_drift: Annotated[
        str,
        typer.Option("--run-drift", help="By how much a host drifts between two runs, one sigma."),
    ] = "2%",
    as_json: JsonOption = False,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML; - prints it.")
    ] = None,
    markdown: MarkdownOption = None,
) -> None:
    """Hold a dataset against rules; exit code 4 when one is not met."""
    from analysis.gate import junit as junit_xml
    from analysis.gate import shown

    to_output = {"--junit -": junit == STANDARD_OUTPUT, "--markdown -": markdown == STANDARD_OUTPUT}
    only_one({"--json": as_json} | to_output)
    drift = parse_share("--run-drift", run_drift)
    found = _judge(rules, (dataset, baseline), drift, undecided)
    names = str(dataset), None if baseline is None else str(baseline)
    if junit:
        put_text(junit, junit_xml.as_junit(found))
    if markdown:
        put_text(markdown, shown.as_markdown(found, *names))
    if as_json:
        typer.echo(json.dumps(shown.as_document(found, *names), indent=1, ensure_ascii=False))
    elif not any(to_output.values()):
        say(f"{found.summary}\n")
        for line in tabulate([shown.COLUMNS, *shown.rows_of(found)]):
            say(line)
        for note in found.notes:
            say(note)
    if not found.passed:
        raise typer.Exit(EXIT_GATE)


def _judge(
    rules: Path, folders: tuple[Path, Path | None], drift: float, undecided: Undecided
) -> "GateOutcome":
    from analysis.dataset import open_dataset
    from analysis.gate.judge import Judged, judge_gate
    from analysis.gate.rules import load_gate

    read, source = load_gate(rules)
    with ExitStack() as stack:
        opened = [
            None if folder is None else stack.enter_context(open_dataset(dataset_in(folder)))
            for folder in folders
        ]
        assert opened[0] is not None
        judged = Judged(opened[0], opened[1], drift, undecided.value)
        return judge_gate(read, source, judged)
