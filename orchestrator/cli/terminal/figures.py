"""Small figures made of characters."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What figures are drawn with."""

    full: str
    empty: str
    steps: str
    """From nothing to most; empty where a terminal has no such characters."""


BLOCKS = Glyphs("█", "░", " ▁▂▃▄▅▆▇█")
ASCII = Glyphs("#", ".", "")


def glyphs_for(encoding: str) -> Glyphs:
    """Blocks where the terminal's encoding has them."""
    try:
        (BLOCKS.full + BLOCKS.empty + BLOCKS.steps).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def bar(parts: Sequence[int], whole: int, cells: int) -> list[int]:
    """Cells of each part: together as many as their share, and each at least one that is not nothing."""
    if whole <= 0:
        return [0] * len(parts)
    found = [max(1, round(part * cells / whole)) if part else 0 for part in parts]
    while sum(found) > cells:
        found[found.index(max(found))] -= 1
    return found


def spark(glyphs: Glyphs, counts: Sequence[int]) -> str:
    """Counts as a row of bars; what is not nothing is always to be seen."""
    most, steps = max(counts, default=0), len(glyphs.steps) - 1
    if most == 0 or steps < 1:
        return ""
    return "".join(glyphs.steps[-(-count * steps // most)] for count in counts)
