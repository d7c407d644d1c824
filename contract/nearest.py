"""The name that a person may have meant: one place for all complaints about names."""

import difflib
import re
from collections.abc import Iterable

_CUTOFF = 0.6
"""Similarity from which a name is worth a question, as difflib reckons it."""


def did_you_mean(found: object, allowed: Iterable[str]) -> str:
    """`` (did you mean 'docker'?)`` for ``dokcer``; empty where no allowed name is near."""
    near = difflib.get_close_matches(str(found), list(allowed), n=1, cutoff=_CUTOFF)
    return f" (did you mean '{near[0]}'?)" if near else ""


def hinted(complaint: str, found: object = None) -> str:
    """A library's complaint that lists what is allowed in quotes, with the nearest of these.

    What was found may stand in it too, as in ``'campain' is not one of 'campaign', 'gate'``.
    """
    said = re.search(r"'([^']*)' is not one of", complaint)
    if found is None and not said:
        return complaint
    wrong = said[1] if found is None and said else str(found)
    allowed = [name for name in re.findall(r"'([^']*)'", complaint) if name != wrong]
    return complaint.removesuffix(".") + did_you_mean(wrong, allowed)
