"""Text that is safe to show: what a file, a worker or a guest may say must not steer a terminal."""

import re

# C0 without tab and line feed, DEL, C1, what turns the direction of text around, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def unsafe_character(text: str) -> str | None:
    """The first character that has no place in a name or a line, as an escape; None without one."""
    found = _UNSAFE.search(text)
    return _escape(found) if found else None


def printable(text: str) -> str:
    """The text with every unsafe character as an escape such as ``\\x1b``."""
    return _UNSAFE.sub(_escape, text)


def plain_line(text: str) -> str:
    """The text itself. Raises ValueError for one that is no single line of safe characters."""
    if _UNSAFE.search(text) or "\n" in text:
        raise ValueError("one line of text without control characters")
    return text


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
