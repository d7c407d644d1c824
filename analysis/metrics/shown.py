"""Values of metrics as a person reads and writes them."""

import math
import re
from collections.abc import Callable

from analysis import quantities
from analysis.metrics.base import Unit

_ONE: dict[Unit, Callable[[float | None], str]] = {
    "ns": quantities.duration,
    "bytes": quantities.size,
    "cpus": quantities.processors,
    "share": quantities.share,
    "per_s": quantities.rate,
    "bytes_per_s": lambda v: quantities.size(v) + ("" if quantities.missing(v) else "/s"),
    "count": lambda v: quantities.NOT_AVAILABLE if v is None else quantities.digits(v),
    "ratio": quantities.ratio,
    "number": lambda v: quantities.NOT_AVAILABLE if v is None else quantities.digits(v),
}
_TIMES = {
    "ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "h": 3600e9,
}  # fmt: skip
_SIZES = {
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
}  # fmt: skip
UNITS: dict[Unit, dict[str, float]] = {
    "ns": _TIMES,
    "bytes": _SIZES,
    "cpus": {"CPU": 1.0, "mCPU": 1e-3},
    "share": {"%": 0.01, "": 1.0},
    "per_s": {"/s": 1.0, "/min": 1 / 60},
    "bytes_per_s": {f"{unit}/s": scale for unit, scale in _SIZES.items()},
    "count": {"": 1.0},
    "ratio": {"": 1.0, "x": 1.0},
    "number": {"": 1.0},
}
"""Units that a limit may be written in, and what one is worth in the metric's own."""
_EXAMPLES: dict[Unit, str] = {
    "ns": "500ms",
    "bytes": "210MiB",
    "cpus": "5mCPU",
    "share": "1%",
    "per_s": "20/s",
    "bytes_per_s": "80MiB/s",
    "count": "200",
    "ratio": "1.5x",
    "number": "1200",
}
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)\s*([A-Za-zµ%/]*)\s*")


def value_in_words(value: float | None, unit: Unit) -> str:
    """A value with its unit: ``161 ms``."""
    return _ONE[unit](value)


def range_in_words(low: float | None, high: float | None, unit: Unit) -> str:
    """An interval of values: ``159 ms to 163 ms``; ``n/a`` without one."""
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    return f"{value_in_words(low, unit)} to {value_in_words(high, unit)}"


def change_in_words(value: float | None, kind: str) -> str:
    """A ratio, or a difference of shares in percentage points: ``1.07×``, ``+0.4 points``."""
    if value is None:
        return quantities.NOT_AVAILABLE
    if kind == "ratio":
        return quantities.ratio(value)
    return f"{_signed(100 * value)} points"


def changes_in_words(low: float | None, high: float | None, kind: str) -> str:
    """The interval of one."""
    if low is None or high is None:
        return quantities.NOT_AVAILABLE
    if kind == "ratio":
        return quantities.ratio_range(low, high)
    return f"{_signed(100 * low)} to {_signed(100 * high)} points"


def _signed(points: float) -> str:
    return f"{points:+.2g}" if abs(points) >= 0.005 else "0"


def parse_amount(given: object, unit: Unit) -> float | None:
    """A limit as a person writes it, in the metric's unit; None for what is none.

    Plain numbers are shares and counts; everything else names its unit.
    """
    found = _AMOUNT.fullmatch(f"{given:g}" if isinstance(given, float) else str(given))
    if isinstance(given, bool) or not found or found[2] not in UNITS[unit]:
        return None
    amount = float(found[1]) * UNITS[unit][found[2]]
    return amount if math.isfinite(amount) else None


def allowed_amounts(unit: Unit) -> str:
    """How a limit of this unit is written."""
    units = ", ".join(name or "nothing" for name in UNITS[unit])
    return f"a number with a unit ({units}), such as {_EXAMPLES[unit]}"
