"""What others say steers no terminal, wherever it is shown."""

import pytest

from contract.plain_text import plain_line, printable, unsafe_character


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\x9bm\x00", "a\\x0db\\x9bm\\x00"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("größe\tand\nlines — 漢字 🚢", "größe\tand\nlines — 漢字 🚢"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()
    assert (unsafe_character(text) is None) == (text == shown)


def test_a_line_is_one_line() -> None:
    assert plain_line("one line") == "one line"
    for text in ("two\nlines", "\x1b[31m"):
        with pytest.raises(ValueError, match="one line of text"):
            plain_line(text)
