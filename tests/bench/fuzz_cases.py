"""What fuzzing feeds: real things with one or a few places changed into what nobody should write."""

import copy
import json
import random
import string
from typing import Any

from hypothesis import strategies as st

Plain = Any
"""What JSON and YAML can say."""

ODD_TEXTS = (
    "",
    "\x1b[31mred",
    "a\x00b",
    "\ud800",
    "\u202egnp",
    "../../etc/passwd",
    "--privileged",
    "=cmd()",
    "<script>",
    "'; DROP TABLE trials; --",
    "9" * 400,
    "a" * 5000,
    "1e999",
    "nan",
    "((((((a+)+)+)+)+)+)b",
    "*" * 50,
    "\n",
)
ODD_NUMBERS = (0, -1, 2**31, 2**63, 2**64, 10**30, 10**400, -(10**30), 0.1, 1e308, -0.0)
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))


def deep(levels: int) -> Plain:
    """Lists in lists."""
    value: Plain = []
    for _ in range(levels):
        value = [value]
    return value


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(NOT_NUMBERS),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
    st.builds(deep, st.sampled_from((3, 30, 300))),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
)


@st.composite
def changed(draw: st.DrawFn, seeds: list[Plain]) -> Plain:
    """One of the seeds, with one to four places of it made odd."""
    value = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        value = _with_one(draw, value)
    return value


def _with_one(draw: st.DrawFn, value: Plain) -> Plain:
    places = list(_places(value))
    if not places:
        return draw(odd)
    holder, key = draw(st.sampled_from(places))
    how = draw(st.integers(0, 5))
    if how == 0 and isinstance(holder, dict):
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[draw(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=8)))] = draw(odd)
    elif how == 2 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[key] = draw(odd)
    return value


def _places(value: Plain, levels: int = 12) -> Any:
    """Where something stands: its holder, and its key in there."""
    if not isinstance(value, dict | list) or not levels:
        return
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(inner, levels - 1)


def as_json(value: Plain) -> bytes:
    """As JSON, with NaN and lone surrogates where they are: others' writers are not strict."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def bent(draw: st.DrawFn, seeds: list[bytes], words: tuple[bytes, ...] = ()) -> bytes:
    """Bytes of a seed, cut, doubled, flipped, and with words put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    rng = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(rng.randint(1, 6)):
        place, length = rng.randint(0, len(data)), rng.choice((1, 2, 8, 100))
        match rng.randint(0, 4):
            case 0:
                del data[place : place + length]
            case 1:
                data[place:place] = data[place : place + length]
            case 2 if place < len(data):
                data[place] ^= 1 << rng.randint(0, 7)
            case 3:
                data[place:place] = rng.choice(words) if words else rng.randbytes(length)
            case _:
                data[place:place] = rng.choice(string.punctuation).encode() * length
    return bytes(data)


YAML_WORDS = (
    *(b"&a ", b"*a", b"!!python/object/apply:os.system [id]", b"!!binary ", b"!!set ", b"<<: *a\n"),
    *(b"? ", b": ", b"- ", b"[", b"{", b"}", b"]", b"|\n", b">\n", b"'", b'"', b"\t", b"\xff", b"\0"),
    *(b'"\\e[31m"', b'"\\ud800"', b".nan", b".inf", b"0x" + b"f" * 50, b"1:1:1:1:1.5", b"2001-99-99"),
    *(b"%YAML 9.9\n", b"---\n", b"...\n", b"# ", b"\xe2\x80\xae", b"1_0", b"~", b"=", b"\r", b"[" * 60),
)
