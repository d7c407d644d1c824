"""Times and reasons as people read them."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")


def span(seconds: float | None) -> str:
    """A time as people say it who wait: ``5 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds is None:
        return "not known"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def moment(seconds: float | None) -> str:
    """A time for people: ``2026-11-25 03:31:07 UTC``."""
    if not seconds:
        return "not known"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def grouped(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons that differ in their numbers only as one, the most frequent first.

    The numbers of such a group are left out, since they are those of one of its members only.
    """
    alike: dict[str, Counter[str]] = defaultdict(Counter)
    for why, count in reasons.items():
        alike[_NUMBER.sub("…", why)][why] += count
    found = [
        (blank if len(members) > 1 else next(iter(members)), members.total())
        for blank, members in alike.items()
    ]
    return sorted(found, key=lambda item: (-item[1], item[0]))
