"""Tables that fit: into so many columns and lines of a terminal, and no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from contract.plain_text import printable

GAP = 2
LEAST_FLEX = 12
"""Cells that a column of free text keeps while others can be left out."""
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table, and how it looks."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    right: bool = False
    drop: int = 0
    """Columns with the highest number are left out first where room is short; 0: never."""
    flex: bool = False
    """Free text: cut to what the others leave."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the screen."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    more: str = ""
    """What the rows are that found no room; empty where nobody asks how many these are."""
    share: int = 1
    """How much of the lines that are to be had it wants, beside the others."""
    least: int = 2
    """Rows that it gets before others get more."""

    @property
    def wants(self) -> int:
        """Lines that show all of it, the head among them."""
        return 1 + len(self.rows)


def share_out(lines: int, sections: Sequence[Section]) -> list[int]:
    """How many lines each section gets: first the least it needs, then more in turn. Never too many."""
    given = [0] * len(sections)
    for place, section in enumerate(sections):
        least = min(section.wants, 1 + section.least)
        if least <= lines:
            given[place] = least
            lines -= least
    turns = [place for place, section in enumerate(sections) for _ in range(section.share)]
    while lines > 0:
        before = lines
        for place in turns:
            if lines and 0 < given[place] < sections[place].wants:
                given[place] += 1
                lines -= 1
        if lines == before:
            break
    return given


def lay_out(section: Section, lines: int, width: int, spare: int = 0) -> list[Text]:
    """A section in so many lines, its head the first of them; nothing where there is no room.

    Where all rows are shown, free text that is too long goes on in lines that are to spare.
    """
    if lines < 2:
        return []
    hidden = max(0, len(section.rows) - (lines - 1)) if section.more else 0
    hidden += hidden > 0  # the line that says so takes the place of one more
    rows = section.rows[: lines - 1 - (hidden > 0)]
    body = [[Cell(_one_line(cell.text), cell.style) for cell in row] for row in rows]
    widths = _widths(section.columns, body, width)
    heads = [Cell(column.title, "bold") for column in section.columns]
    if spare and not hidden:
        body = [*_wrapped(section.columns, body, widths, spare)]
    found = [_line(section.columns, row, widths, width) for row in (heads, *body)]
    if hidden:
        found.append(_cut(Text(f"{ELLIPSIS} {hidden:,} {section.more}", style="dim"), width))
    return found


def _wrapped(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], widths: Sequence[int], spare: int
) -> Iterator[list[Cell]]:
    """Rows whose free text goes on below them, in so many more lines."""
    flexible = next((place for place, column in enumerate(columns) if column.flex), None)
    for row in rows:
        if flexible is None or not widths[flexible]:
            yield list(row)
            continue
        pieces = _pieces(row[flexible].text, widths[flexible], 1 + spare)
        spare -= len(pieces) - 1
        for number, piece in enumerate(pieces):
            others = [Cell(cell.text if number == 0 else "", cell.style) for cell in row]
            others[flexible] = Cell(piece, row[flexible].style)
            yield others


def _pieces(text: str, cells: int, most: int) -> list[str]:
    """A text in lines, broken between words where one ends late enough; the last may be too long."""
    found: list[str] = []
    while len(found) < most - 1 and cell_len(text) > cells:
        at = len(set_cell_size(text, cells).rstrip())
        if text[at : at + 1] != " " and (space := text.rfind(" ", 0, at)) >= cells // 2:
            at = space
        found.append(text[:at])
        text = text[at:].lstrip()
    return [*found, text]


def _one_line(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """Cells of each column; 0 for one that is left out."""
    natural = [
        max([cell_len(column.title), *(cell_len(row[place].text) for row in rows)])
        for place, column in enumerate(columns)
    ]
    needs = [min(n, LEAST_FLEX) if c.flex else n for n, c in zip(natural, columns, strict=True)]
    kept = set(range(len(columns)))
    for place in sorted(kept, key=lambda at: -columns[at].drop):
        if _total(needs, kept) <= width or not columns[place].drop:
            break
        kept.discard(place)
    spare = width - _total(needs, kept)
    widths = [needs[place] if place in kept else 0 for place in range(len(columns))]
    for place in sorted(kept):
        if columns[place].flex and spare > 0:
            more = min(spare, natural[place] - widths[place])
            widths[place] += more
            spare -= more
    return widths


def _total(needs: Sequence[int], kept: set[int]) -> int:
    return sum(needs[place] for place in kept) + GAP * max(0, len(kept) - 1)


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], width: int) -> Text:
    line = Text(no_wrap=True)
    for column, cell, cells in zip(columns, row, widths, strict=True):
        if not cells:
            continue
        if line:
            line.append(" " * GAP)
        text = _fitted(cell.text, cells)
        pad = " " * (cells - cell_len(text))
        line.append(pad + text if column.right else text + pad, style=cell.style)
    line.rstrip()
    return _cut(line, width)


def _fitted(text: str, cells: int) -> str:
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1) + ELLIPSIS


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
