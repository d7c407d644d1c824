"""Answers that go to the terminal or into files, whole or not at all."""

import sys
from pathlib import Path

import typer

from contract.errors import ResultsError, UseError
from contract.plain_text import printable

STANDARD_OUTPUT = "-"


def say(text: str, *, err: bool = False) -> None:
    """Show a text that holds what others have said: a worker, a guest, a file. It steers no terminal."""
    typer.echo(printable(text), err=err)


def put_text(where: str, text: str) -> None:
    """Write a text into a file, or to standard output for ``-``. Raises ResultsError."""
    if where == STANDARD_OUTPUT:
        typer.echo(printable(text), nl=not text.endswith("\n"))
        return
    path = Path(where)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from error


def only_one(given: dict[str, bool]) -> None:
    """Refuse options that all want the standard output. Raises UseError."""
    wanted = [name for name, wants in given.items() if wants]
    if len(wanted) > 1:
        raise UseError(f"{' and '.join(wanted)}: only one of them can go to standard output")


def say_json(content: bytes) -> None:
    """Show JSON as it is. Through ``typer.echo`` tens of megabytes take as long as making them."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:  # somebody has put a stream of text in its place
        sys.stdout.write(f"{content.decode()}\n")
        return
    sys.stdout.flush()
    stream.write(content + b"\n")
    stream.flush()
