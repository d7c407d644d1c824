"""What a program of a user's printed, and the number to take out of it: by pattern, or by JSON path.

Patterns are RE2's (https://github.com/google/re2/wiki/Syntax), through Arrow: their time is linear in
the text, so that none that a campaign holds can stop a worker. JSON paths are the singular queries of
RFC 9535: names and indexes only, so that there is one value or none.
"""

import json
import math
import re
import shlex
from typing import Any

from contract.errors import WorkError

MOST_COMMAND_BYTES = 3000
"""Of a command as it travels to the agent."""
_MOST_DOCUMENTS = 64
"""Places in an output that may be the beginning of its JSON document."""
_BEGINNING = 200
"""Characters of an output that an error shows."""

_PLAIN = re.compile(rb"[A-Za-z0-9_./:,+@%^=-]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)"""
    r"""|\['(?P<single>[^'"\\]*)'\]|\["(?P<double>[^'"\\]*)"\]|\[(?P<index>0|-?[1-9][0-9]{0,8})\]"""
)


def words_of(command: str) -> list[str]:
    """A command's words, split as a shell splits them, but nothing else of what a shell does.

    Raises ValueError with what is wrong.
    """
    words = shlex.split(command)
    if not words or not words[0]:
        raise ValueError("a program, and its arguments")
    if "/" in words[0] and not words[0].startswith("/"):
        raise ValueError("the name of a program, or its absolute path")
    if "\0" in command or len(" ".join(map(encoded, words))) > MOST_COMMAND_BYTES:
        raise ValueError(
            f"a command of at most {MOST_COMMAND_BYTES} bytes, each special one counting five"
        )
    return words


def encoded(word: str) -> str:
    """A word as the agent takes it: after =, with all but plain characters as octal digits."""
    raw = word.encode("utf-8", "surrogateescape")
    return "=" + "".join(chr(b) if _PLAIN.match(bytes([b])) else f"\\0{b:03o}" for b in raw)


def check_pattern(pattern: str) -> str:
    """The pattern itself. Raises ValueError when it is none, or has no group."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(
            pa.array([""]), pattern=pattern
        )  # so that the complaint is about it alone
        _first_group(pattern, "")
    except pa.ArrowInvalid as error:
        raise ValueError(f"a pattern with a group around the number ({str(error)[:200]})") from error
    return pattern


def check_path(path: str) -> str:
    """The path itself. Raises ValueError when it is none."""
    _steps(path)
    return path


def number_by_pattern(pattern: str, text: str) -> float:
    """What the pattern's first group holds where it first matches. Raises WorkError."""
    found = _first_group(pattern, text)
    if found is None:
        raise WorkError(f"nothing in the output matches {pattern!r}; it begins: {_begin(text)}")
    return _number(found, f"the group of {pattern!r}")


def number_by_path(path: str, text: str) -> float:
    """The value at a JSON path of the first JSON document in the text. Raises WorkError."""
    value = _document(text)
    for step in _steps(path):
        try:
            fits = isinstance(value, dict if isinstance(step, str) else list)
            value = value[step] if fits else _missing(path, text)
        except (KeyError, IndexError):
            _missing(path, text)
    if isinstance(value, str):
        return _number(value, f"the value at {path}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WorkError(f"the value at {path} is not a number: {json.dumps(value)[:_BEGINNING]}")
    return float(value)


def _first_group(pattern: str, text: str) -> str | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = rf"\A(?s:.*?)(?m:{pattern})(?s:.*)\z"
    given = pa.array([text], pa.string())
    held = pc.replace_substring_regex(given, pattern=whole, replacement=r"\1", max_replacements=1)
    matched = pc.match_substring_regex(given, pattern=whole)
    return str(held[0].as_py()) if matched[0].as_py() else None


def _steps(path: str) -> list[str | int]:
    """Names and indexes on the way to the value."""
    steps: list[str | int] = []
    at = 1
    while at < len(path) and (found := _STEP.match(path, at)):
        at = found.end()
        name = next((found[key] for key in ("name", "single", "double") if found[key] is not None), None)
        steps.append(int(found["index"]) if name is None else name)
    if not path.startswith("$") or at < len(path) or not steps:
        raise ValueError("a path like $.jobs[0].read.iops or $['a name'][-1]")
    return steps


def _document(text: str) -> Any:
    """The first JSON document that begins a line: programs warn before they report."""
    begins = re.finditer(r"^[ \t]*[\[{]", text, re.MULTILINE)
    for begin, _ in zip(begins, range(_MOST_DOCUMENTS), strict=False):
        try:
            return json.JSONDecoder().raw_decode(text, begin.end() - 1)[0]
        except (ValueError, RecursionError):
            continue
    raise WorkError(f"there is no JSON document in the output; it begins: {_begin(text)}")


def _missing(path: str, text: str) -> Any:
    raise WorkError(f"the output's JSON document has nothing at {path}; it begins: {_begin(text)}")


def _number(text: str, what: str) -> float:
    """A number with a decimal point, perhaps commas between thousands, perhaps an exponent."""
    plain = text.strip()
    if not _NUMBER.fullmatch(plain) or not re.search("[0-9]", plain.partition("e")[0].partition("E")[0]):
        raise WorkError(f"{what} is not a number: {text[:_BEGINNING]!r}")
    value = float(plain.replace(",", ""))
    if not math.isfinite(value):
        raise WorkError(f"{what} is too large a number: {text[:_BEGINNING]!r}")
    return value


def _begin(text: str) -> str:
    return repr(text[:_BEGINNING]) if text else "it is empty"
