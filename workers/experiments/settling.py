"""When a host has come to rest after instances were started or removed. Pure."""

from collections.abc import Sequence

Reading = tuple[int, float]
"""When (ns), and how much memory was in use (bytes)."""


def slope_share(readings: Sequence[Reading], window_ns: int) -> float | None:
    """Change of memory in use over the last window, as a share of its mean; None before a window's end.

    The slope is the least-squares one, which a single odd reading at the end does not decide.
    """
    if not readings or readings[-1][0] - readings[0][0] < window_ns:
        return None
    begin_ns = readings[-1][0] - window_ns
    recent = [reading for reading in readings if reading[0] >= begin_ns]
    mean_t = sum(t for t, _ in recent) / len(recent)
    mean_bytes = sum(used for _, used in recent) / len(recent)
    spread = sum((t - mean_t) ** 2 for t, _ in recent)
    if spread == 0 or mean_bytes == 0:
        return None
    slope = sum((t - mean_t) * (used - mean_bytes) for t, used in recent) / spread
    return abs(slope) * window_ns / mean_bytes


def is_settled(readings: Sequence[Reading], window_ns: int, most: float) -> bool:
    """Whether memory in use changed by less than ``most`` (share) over the last window."""
    share = slope_share(readings, window_ns)
    return share is not None and share < most
