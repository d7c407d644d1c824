"""Durations and sizes as a person says them, roughly: they are estimates."""

_STEPS = (
    (60.0, 1.0, "s"),
    (3600.0, 60.0, "min"),
    (48 * 3600.0, 3600.0, "h"),
    (float("inf"), 86_400.0, "d"),
)
_SIZES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))


def in_words(seconds: float) -> str:
    """``4.2 s``, ``3 min``, ``1.5 h``: two digits."""
    unit_s, unit = next((size, word) for below, size, word in _STEPS if seconds < below)
    return f"{_two_digits(seconds / unit_s)} {unit}"


def size_in_words(size_bytes: float) -> str:
    """``3.2 MiB``: two digits."""
    unit_bytes, unit = next(((s, w) for s, w in _SIZES if size_bytes >= s), (1.0, "B"))
    return f"{_two_digits(size_bytes / unit_bytes)} {unit}"


def _two_digits(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0") if amount < 9.95 else f"{amount:.0f}"
