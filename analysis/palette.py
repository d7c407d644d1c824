"""How variants look in every plot: colours, dashes and shapes that are told apart without colour too.

Colours are those of Okabe & Ito for the colour-blind, two of them darkened, so that each has a contrast
of at least 3 to 1 against the report's light and dark backgrounds (WCAG 2.2, 1.4.11).
"""

from collections.abc import Sequence

from analysis.section import LegendEntry

BACKGROUNDS = ("#ffffff", "#16181c")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#c46f9f", "#a67c00", "#3f8fc2", "#8c6bb1", "#7f7f7f")
DASHES: tuple[tuple[int, ...], ...] = ((), (7, 3), (2, 2), (9, 3, 2, 3))
_OUTLINES = {
    "circle": "M11 7a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "square": "M11.5 3.5h7v7h-7Z",
    "triangle-up": "M15 2.5l4.5 8h-9Z",
    "diamond": "M15 2l4 5l-4 5l-4-5Z",
    "cross": "M13.5 2.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
    "triangle-down": "M15 11.5l4.5-8h-9Z",
}
SHAPES = tuple(_OUTLINES)
"""Marks of points, by the names that Vega-Lite has for them."""


def legend(variants: Sequence[str]) -> tuple[LegendEntry, ...]:
    """One look per variant, by its place in the list."""
    return tuple(
        LegendEntry(
            name,
            COLOURS[i % len(COLOURS)],
            DASHES[(i + i // len(COLOURS)) % len(DASHES)],
            SHAPES[i % len(SHAPES)],
        )
        for i, name in enumerate(variants)
    )


def swatch(look: LegendEntry) -> str:
    """A legend's sample of one look, as SVG."""
    if look.dash is None:
        return _svg(14, f'<path d="M0 0H14V14H0Z" fill="{look.colour}"/>')
    dash = f' stroke-dasharray="{" ".join(map(str, look.dash))}"' if look.dash else ""
    line = f'<path d="M0 7H30" stroke="{look.colour}" stroke-width="2"{dash}/>'
    return _svg(30, f'{line}<path d="{_OUTLINES[look.shape]}" fill="{look.colour}"/>')


def _svg(width: int, content: str) -> str:
    head = f'<svg viewBox="0 0 {width} 14" aria-hidden="true" focusable="false" class="plot">'
    return f"{head}{content}</svg>"


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG defines it, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
