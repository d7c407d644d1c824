"""The command line: the only place that prints, exits, and knows workers and analysis at once."""

import sys
from typing import Annotated

import typer

from contract.errors import CampaignError, TonnageError
from contract.nearest import hinted
from contract.plain_text import printable
from orchestrator.cli import (
    campaigns,
    capacity,
    comparing,
    doctor,
    exporting,
    gating,
    hosts,
    importing,
    initial,
    keys,
    planning,
    results,
    standing,
)
from orchestrator.cli.serving import command as serve_command
from orchestrator.cli.settings_file import Settled

EXIT_USE, EXIT_CAMPAIGN, EXIT_MISSING, EXIT_GATE, EXIT_INTERRUPTED = 1, 2, 3, 4, 5
_INTERRUPTED_IN_TYPER = 130
"""What Typer makes of Ctrl-C; releases before that let it through."""

app = Settled(
    name="tonnage",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="How much can your fleet carry, how fast does it load and unload, and how fast does it "
    "right itself? Containers and virtual machines, measured side by side.",
    epilog="Exit codes: 0 fine, 1 error in use, 2 bad campaign, 3 trials missing or failed, "
    "4 gate failed, 5 interrupted.",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tonnage {version('tonnage')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say the version, and end."
        ),
    ] = False,
) -> None:
    """What goes before a command."""


initial.add_to(app)
planning.add_to(app)
campaigns.add_to(app)
standing.add_to(app)
hosts.add_to(app)
keys.add_to(app)
doctor.add_to(app)
results.add_to(app)
capacity.add_to(app)
comparing.add_to(app)
gating.add_to(app)
importing.add_to(app)
exporting.add_to(app)
serve_command.add_to(app)


def main() -> None:
    """Entry point: every error of ours becomes one message and an exit code that tells the cause."""
    try:
        code = app(standalone_mode=False) or 0
        sys.exit(EXIT_INTERRUPTED if code == _INTERRUPTED_IN_TYPER else code)
    except typer.TyperException as error:  # wrong options and arguments
        said = getattr(error, "format_message", error.__str__)()
        if not said:  # a bare command has printed its help
            sys.exit(0)
        _leave(_in_one_line(said, getattr(error, "ctx", None)), EXIT_USE)
    except CampaignError as error:
        _leave(error, EXIT_CAMPAIGN)
    except TonnageError as error:
        _leave(error, EXIT_USE)
    except (KeyboardInterrupt, typer.Abort):
        _leave("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_USE)


def _in_one_line(said: str, ctx: "typer.Context | None") -> str:
    """A complaint about options and arguments, with the nearest name, or where all stand."""
    plain = hinted(" ".join(said.replace("Value error, ", "").split()))
    if ctx is None or "did you mean" in plain.lower():
        return plain
    return f"{plain.removesuffix('.')}; `{ctx.command_path} --help` tells more"


def _leave(why: object, code: int) -> None:
    print(f"tonnage: {printable(str(why))}", file=sys.stderr)  # noqa: T201 - the one way out
    sys.exit(code)
