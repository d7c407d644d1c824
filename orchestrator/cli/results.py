"""report, schema: everything about results and their shape."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.folders import dataset_in

if TYPE_CHECKING:
    from pydantic import BaseModel


class SchemaOf(StrEnum):
    """What ``tonnage schema`` can describe."""

    CAMPAIGN = "campaign"
    DEMAND = "demand"
    GATE = "gate"
    TABLES = "tables"
    METRICS = "metrics"
    REPORTS = "reports"
    PROMETHEUS = "prometheus"
    COMMANDS = "commands"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(report)
    app.command()(schema)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A results folder, or a dataset inside one.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write; default: report/ beside the dataset.")
    ] = None,
    include_suspect: Annotated[
        bool,
        typer.Option(
            "--include-suspect", help="Count suspect trials beside valid ones; no verdict rests on them."
        ),
    ] = False,
    demand: Annotated[
        Path | None, typer.Option("--demand", help="Begin with a capacity plan for this demand (YAML).")
    ] = None,
) -> None:
    """Gather what is there of a campaign and write its report and tables."""
    from analysis.report import write_report

    dataset = dataset_in(folder)
    target = out or (folder / "report" if dataset != folder else folder.parent / "report")
    page = write_report(dataset, target, include_suspect=include_suspect, demand=demand)
    typer.echo(f"report: {page}")


def schema(
    what: Annotated[
        SchemaOf,
        typer.Argument(help="campaign, demand, gate, tables, metrics, reports, prometheus or commands"),
    ] = SchemaOf.CAMPAIGN,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page for people.")] = False,
) -> None:
    """Print the JSON schema of campaign, demand or gate file (for editors), the published tables, all
    metrics, the report's tables, what workers and coordinators show to Prometheus, or all commands."""
    from orchestrator.cli import schema_page as pages

    if what is SchemaOf.CAMPAIGN:
        from orchestrator.cli.campaign_schema import campaign_schema
        from workers.discover import build_catalog

        typer.echo(json.dumps(campaign_schema(build_catalog()), indent=2))
    elif what in (SchemaOf.DEMAND, SchemaOf.GATE):
        typer.echo(json.dumps(_model(what).model_json_schema(), indent=2))
    elif what is SchemaOf.TABLES:
        typer.echo(pages.tables_page() if markdown else json.dumps(pages.tables_rows(), indent=2))
    elif what is SchemaOf.PROMETHEUS:
        rows = pages.prometheus_rows()
        typer.echo(pages.prometheus_page() if markdown else json.dumps(rows, indent=2))
    elif what is SchemaOf.REPORTS:
        from analysis.report_tables import column_rows, page

        typer.echo(page() if markdown else json.dumps(column_rows(), indent=2), nl=not markdown)
    elif what is SchemaOf.COMMANDS:
        from orchestrator.cli.commands_page import command_rows, commands_page

        typer.echo(
            commands_page() if markdown else json.dumps(command_rows(), indent=2), nl=not markdown
        )
    else:
        typer.echo(pages.metrics_page() if markdown else json.dumps(pages.metrics_rows(), indent=2))


def _model(what: SchemaOf) -> "type[BaseModel]":
    """What a file of this kind is read into."""
    if what is SchemaOf.DEMAND:
        from analysis.capacity.demand import Demand

        return Demand
    from analysis.gate.rules import Gate

    return Gate
