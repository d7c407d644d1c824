"""Numbers as a person reads them: the largest unit that fits, three significant digits, no NaN."""

import math
import re
from collections.abc import Sequence

NOT_AVAILABLE = "n/a"
BEYOND = "> deadline"
"""A quantile that lies among the failed attempts."""

_TIME_UNITS = ((3600e9, "h"), (60e9, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_SIZE_UNITS = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_NUMBER_UNIT = re.compile(r"(?<=[0-9]) (?=(%|ns|µs|ms|s|min|h|m?CPU|B|KiB|MiB|GiB|TiB)(\W|$))")
_LONG_UNITS_FROM_NS = 120e9
"""Minutes and hours only from here on: 90 s is read more easily than 1.5 min."""


def missing(value: float | None) -> bool:
    """Whether there is no number: None, NaN or pandas' NA."""
    return value is None or value != value or str(value) == "<NA>"


def duration(ns: float | None) -> str:
    """A duration given in nanoseconds: ``161 ms``."""
    if ns is None or missing(ns):
        return NOT_AVAILABLE
    if math.isinf(ns):
        return BEYOND
    scale, unit = _time_unit(ns)
    return f"{digits(ns / scale)} {unit}"


def duration_range(low: float | None, high: float | None) -> str:
    """An interval of durations in nanoseconds, in one unit: ``159 to 163 ms``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    if math.isinf(low):
        return BEYOND
    if math.isinf(high):
        return f"{duration(low)} to {BEYOND}"
    scale, unit = _time_unit(high)
    return f"{digits(low / scale)} to {digits(high / scale)} {unit}"


def share(value: float | None) -> str:
    """A share of 1 as a percentage: ``0.33 %``."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return "100 %" if value == 1 else f"{digits(100 * value)} %"


def share_range(low: float | None, high: float | None) -> str:
    """An interval of shares: ``0 to 1.3 %``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    return f"{digits(100 * low)} to {digits(100 * high)} %"


def ratio(value: float | None) -> str:
    """A ratio: ``1.07×``."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return f"{digits(value)}×"


def ratio_range(low: float | None, high: float | None) -> str:
    """An interval of ratios: ``1.02 to 1.12×``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    return f"{digits(low)} to {digits(high)}×"


def rate(per_s: float | None) -> str:
    """Events per second, or per minute where they are rare: ``8.8/s``."""
    if per_s is None or missing(per_s):
        return NOT_AVAILABLE
    if 0 < per_s < 0.1:
        return f"{digits(60 * per_s)}/min"
    return f"{digits(per_s)}/s"


def rate_range(low: float | None, high: float | None) -> str:
    """An interval of rates per second: ``8.7 to 8.9/s``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    if 0 < high < 0.1:
        return f"{digits(60 * low)} to {digits(60 * high)}/min"
    return f"{digits(low)} to {digits(high)}/s"


def count(value: float | None) -> str:
    """A whole number, thousands apart by a thin space: ``10 000``."""
    if value is None or missing(value):
        return NOT_AVAILABLE
    return f"{round(value):,}".replace(",", "\u202f")


def size(size_bytes: float | None) -> str:
    """A size given in bytes: ``24 GiB``."""
    if size_bytes is None or missing(size_bytes):
        return NOT_AVAILABLE
    for scale, unit in _SIZE_UNITS:
        if abs(size_bytes) >= scale:
            return f"{_short(size_bytes / scale)} {unit}"
    return f"{digits(size_bytes)} B"


def size_range(low: float | None, high: float | None) -> str:
    """An interval of sizes in bytes, in one unit: ``1.87 to 1.94 MiB``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    largest = max(abs(low), abs(high))
    scale, unit = next(((s, u) for s, u in _SIZE_UNITS if largest >= s), (1.0, "B"))
    ends = low / scale, high / scale
    one, other = (_short(round(end, 2)) for end in ends)
    if one == other:
        one, other = (_short(end, 4) for end in ends)
    return f"{one} to {other} {unit}"


def processors(cpus: float | None) -> str:
    """Processors in use, in thousandths where it is little: ``3.1 mCPU``, ``1.5 CPU``."""
    if cpus is None or missing(cpus):
        return NOT_AVAILABLE
    return f"{digits(cpus)} CPU" if abs(cpus) >= 1 else f"{digits(1000 * cpus)} mCPU"


def processors_range(low: float | None, high: float | None) -> str:
    """An interval of processors in use: ``2.9 to 3.3 mCPU``."""
    if low is None or high is None or missing(low) or missing(high):
        return NOT_AVAILABLE
    scale, unit = (1, "CPU") if max(abs(low), abs(high)) >= 1 else (1000, "mCPU")
    return f"{digits(scale * low)} to {digits(scale * high)} {unit}"


def digits(value: float, significant: int = 3) -> str:
    """A number with ``significant`` digits; as a power of ten only when it is very large or small."""
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞"
    exponent = math.floor(math.log10(abs(value)))
    rounded = round(value, significant - 1 - exponent)
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(rounded))))
    if decimals > 6 or exponent >= 9:
        return f"{rounded:.{significant}g}"
    text = f"{rounded:,.{decimals}f}".replace(",", "\u202f")
    return text.rstrip("0").rstrip(".") if "." in text and abs(rounded) < 0.1 else text


def plain(value: float) -> str:
    """A number that a person set, as it was set: ``16``, ``0.5``."""
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else f"{value:g}"


def tied(text: str) -> str:
    """The text with every number kept on one line with its unit."""
    return _NUMBER_UNIT.sub("\N{NO-BREAK SPACE}", text)


def plural(number: int, noun: str) -> str:
    """``1 host``, ``3 hosts``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str], most: int = 8) -> str:
    """``a, b and c``; of a long list the first few and how many more."""
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _short(value: float, significant: int = 3) -> str:
    """Few digits, without zeros at the end that say nothing."""
    return f"{float(f'{value:.{significant}g}') + 0.0:g}"  # + 0.0: no negative zero


def _time_unit(ns: float) -> tuple[float, str]:
    size = abs(ns)
    for scale, unit in _TIME_UNITS:
        fits = size >= scale * 0.9995 and (scale <= 1e9 or size >= _LONG_UNITS_FROM_NS)
        if fits:
            return scale, unit
    return _TIME_UNITS[-1]
