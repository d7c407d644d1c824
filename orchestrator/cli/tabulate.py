"""Rows of text in columns, for terminals and pipes alike."""

from collections.abc import Iterator, Sequence

from contract.plain_text import printable


def tabulate(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each row as a line, every column as wide as its widest cell."""
    rows = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
