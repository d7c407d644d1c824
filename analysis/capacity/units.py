"""Amounts with units as demand files have them: ``2s``, ``256MiB``, ``30%``, ``10Gbit/s``."""

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ%/]+)\s*")
_TIMES = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}
_SIZES = {
    "B": 1.0,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
}
_BITS = {"kbit/s": 125.0, "Mbit/s": 125e3, "Gbit/s": 125e6}
_RATES = {f"{name}/s": scale for name, scale in _SIZES.items()} | _BITS


def _read(given: Any, units: dict[str, float], words: str) -> Any:
    """The amount in its base unit. A bare number has no unit, so nobody knows what it means."""
    if isinstance(given, str) and (found := _AMOUNT.fullmatch(given)) and found[2] in units:
        return float(found[1]) * units[found[2]]
    raise ValueError(f"{words}; units are {', '.join(units)}")


def _time(given: Any) -> Any:
    value = _read(given, _TIMES, "a time with its unit, such as 50ms or 5min")
    if value <= 0:
        raise ValueError("a time above 0")
    return value


def _size(given: Any) -> Any:
    value = _read(given, _SIZES, "a size with its unit, such as 256MiB")
    if value <= 0:
        raise ValueError("a size above 0")
    return value


def _rate(given: Any) -> Any:
    value = _read(given, _RATES, "a rate with its unit, such as 10Gbit/s or 500MiB/s")
    if value <= 0:
        raise ValueError("a rate above 0")
    return value


def _share(given: Any) -> Any:
    words = "a percentage such as 15%, or a number from 0 to 1"
    if isinstance(given, str):
        value = _read(given, {"%": 0.01}, words)
    elif isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(words)
    else:
        value = float(given)
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(words)
    return value


def _growth(given: Any) -> Any:
    words = "a percentage such as 30% or -10%, above -100% and at most 1000%"
    if not isinstance(given, str):
        raise ValueError(words)
    sign = -1.0 if given.strip().startswith("-") else 1.0
    value = sign * _read(given.strip().lstrip("+-"), {"%": 0.01}, words)
    if not -1 < value <= 10:
        raise ValueError(words)
    return value


def bound(seconds: float) -> str:
    """A time that a person set, as it was set: ``50 ms``, ``5 min``."""
    for unit in ("d", "h", "min", "s", "ms", "µs"):
        whole = seconds / _TIMES[unit]
        if whole >= 1 and (unit not in ("d", "h", "min") or whole == round(whole)):
            return f"{whole:g} {unit}"
    return f"{seconds * 1e9:g} ns"


Seconds = Annotated[float, BeforeValidator(_time, json_schema_input_type=str)]
"""A time, seconds, written as ``50ms``, ``2s``, ``5min``, ``4000h``."""
Bytes = Annotated[float, BeforeValidator(_size, json_schema_input_type=str)]
"""A size, bytes, written as ``256MiB``."""
BytesPerSecond = Annotated[float, BeforeValidator(_rate, json_schema_input_type=str)]
"""A rate, bytes per second, written as ``10Gbit/s``."""
Share = Annotated[float, BeforeValidator(_share, json_schema_input_type=str | float)]
"""A share of 1, written as ``15%`` or ``0.15``."""
Growing = Annotated[float, BeforeValidator(_growth, json_schema_input_type=str)]
"""Change per year as a share, written as ``30%`` or ``-10%``."""
