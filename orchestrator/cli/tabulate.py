"""Rows of text in columns, for terminals and pipes alike."""

from collections.abc import Iterator, Sequence


def tabulate(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each row as a line, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
