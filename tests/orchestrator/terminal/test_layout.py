"""Tables fit, whatever the terminal's size and whatever their cells say."""

import itertools

import pytest
from rich.cells import cell_len

from orchestrator.cli.terminal.figures import ASCII, BLOCKS, bar, glyphs_for, spark
from orchestrator.cli.terminal.layout import Cell, Column, Section, lay_out, share_out

EVIL = "\x1b[2J\u202e你好\n\tx"
COLUMNS = (
    Column("HOST"),
    Column("N", right=True, drop=2),
    Column("SHAPE", drop=1),
    Column("WHY", flex=True),
)


def table(rows: int, why: str = "because", **changes: int) -> Section:
    cells = [(Cell(f"h{n}"), Cell(str(n)), Cell("▁▂"), Cell(why)) for n in range(rows)]
    return Section(COLUMNS, cells, "hosts more", **changes)


def plain(section: Section, lines: int, width: int, spare: int = 0) -> list[str]:
    return [line.plain for line in lay_out(section, lines, width, spare)]


@pytest.mark.parametrize("why", ["because", "long " * 40, EVIL * 9, "你好" * 50])
def test_nothing_is_wider_or_higher_than_it_may_be(why: str) -> None:
    for lines, width in itertools.product((0, 1, 2, 3, 9), (1, 10, 24, 80)):
        found = plain(table(5, why), lines, width, spare=3)
        assert len(found) <= lines + 3
        for line in found:
            assert cell_len(line) <= width
            assert not any(character in line for character in "\x1b\n\t\u202e")


def test_columns_go_in_their_order_and_text_is_cut() -> None:
    assert plain(table(1), 9, 40) == ["HOST  N  SHAPE  WHY", "h0    0  ▁▂     because"]
    assert plain(table(1), 9, 20) == ["HOST  SHAPE  WHY", "h0    ▁▂     because"]
    assert plain(table(1), 9, 14) == ["HOST  WHY", "h0    because"]
    assert plain(table(1, "much too long for it"), 9, 22)[1] == "h0    much too long f…"


def test_rows_without_room_are_counted() -> None:
    assert plain(table(9), 4, 40)[-1] == "… 7 hosts more"
    assert plain(table(3), 4, 40)[-1].startswith("h2")
    uncounted = Section(COLUMNS, table(9).rows)
    assert plain(uncounted, 4, 40)[-1].startswith("h2")


def test_long_text_goes_on_where_lines_are_to_spare() -> None:
    section = table(2, "a reason that takes some more room")
    found = plain(section, 3, 38, spare=3)
    assert [line.split() for line in found[1:]] == [
        ["h0", "0", "▁▂", *["a", "reason", "that", "takes"]],
        ["some", "more", "room"],
        ["h1", "1", "▁▂", *["a", "reason", "that", "takes"]],
        ["some", "more", "room"],
    ]
    assert plain(section, 3, 38)[1].endswith("…")


@pytest.mark.parametrize("lines", range(40))
def test_no_more_lines_are_given_than_there_are(lines: int) -> None:
    sections = [table(5, least=3, share=2), table(1000, share=2), table(1), table(30)]
    given = share_out(lines, sections)
    assert sum(given) <= lines
    assert all(n <= section.wants for n, section in zip(given, sections, strict=True))
    assert all(n != 1 for n in given)  # a head without a row says nothing
    if lines >= 15:
        assert sum(given) == min(lines, sum(section.wants for section in sections))


def test_bars_show_every_part_that_is_not_nothing() -> None:
    assert bar([999_999, 1], 1_000_000, 10) == [9, 1]
    assert bar([5, 0], 10, 10) == [5, 0]
    assert bar([1, 1], 2, 0) == [0, 0]
    assert bar([], 0, 10) == []


def test_sparks_and_terminals_without_blocks() -> None:
    assert spark(BLOCKS, [0, 1, 1000]) == " ▁█"
    assert spark(BLOCKS, []) == spark(ASCII, [1, 2]) == spark(BLOCKS, [0]) == ""
    assert glyphs_for("utf-8") is BLOCKS
    assert glyphs_for("ascii") is glyphs_for("latin-1") is glyphs_for("no such") is ASCII
