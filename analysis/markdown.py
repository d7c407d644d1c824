"""Tables in Markdown, as pull requests show them."""

import re
from collections.abc import Iterator, Sequence

_SPECIAL = re.compile(r"([\\|*_`<>\[\]])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, a line each."""
    yield f"| {' | '.join(escaped(cell) for cell in head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(escaped(cell) for cell in row)} |"


def folded(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Lines that are shown when the reader asks for them."""
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
