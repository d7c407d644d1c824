"""Options of what an operator may see of a worker or coordinator: log and metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import UseError
from orchestrator.cli.options import Command, takes

if TYPE_CHECKING:
    from contract.observing import Observing

OBSERVING_OPTIONS: dict[str, object] = {
    "log_format": Annotated[
        str | None,
        typer.Option(
            "--log-format", envvar="TONNAGE_LOG_FORMAT", help="text, or json: one object per line."
        ),
    ],
    "log_level": Annotated[
        str | None,
        typer.Option(
            "--log-level",
            envvar="TONNAGE_LOG_LEVEL",
            help="debug, info, warning or error; default: info.",
        ),
    ],
    "metrics": Annotated[
        str | None,
        typer.Option(
            "--metrics",
            envvar="TONNAGE_METRICS",
            help="PORT or ADDRESS:PORT to show Prometheus metrics at; default: nowhere.",
        ),
    ],
    "metrics_textfile": Annotated[
        Path | None,
        typer.Option(
            "--metrics-textfile",
            envvar="TONNAGE_METRICS_TEXTFILE",
            help="File for node_exporter's textfile collector; its name ends in .prom.",
        ),
    ],
}
"""Parameter and option."""


def observing_from(
    log_format: str | None,
    log_level: str | None,
    metrics: str | None,
    metrics_textfile: Path | None,
) -> "Observing":
    """What these options say. Raises UseError for what they may not."""
    from contract.log_lines import LOG_FORMATS, LOG_LEVELS
    from contract.observing import Observing, parse_address

    for option, given, allowed in (
        ("--log-format", log_format, LOG_FORMATS),
        ("--log-level", log_level, LOG_LEVELS),
    ):
        if given and given not in allowed:
            raise UseError(f"{option}: found '{given}'; allowed: {', '.join(allowed)}")
    if metrics:
        parse_address(metrics)
    if metrics_textfile is not None and metrics_textfile.suffix != ".prom":
        raise UseError(
            f"--metrics-textfile: found '{metrics_textfile}'; allowed: a name ending in .prom"
        )
    return Observing.model_validate(
        {
            "log": {"format": log_format or "text", "level": log_level or "info"},
            "metrics": {"address": metrics or "", "textfile": metrics_textfile},
            "log_wanted": log_format is not None,
        }
    )


def takes_observing(command: Command) -> Command:
    """Give a command all OBSERVING_OPTIONS; they reach it as one argument, ``observing``."""
    return takes("observing", OBSERVING_OPTIONS, observing_from)(command)
