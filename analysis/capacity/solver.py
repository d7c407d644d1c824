"""Linear and integer programmes by HiGHS, through scipy, without a word of theirs on standard output."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from scipy import optimize


def linear_programme(*args: Any, **named: Any) -> Any:
    """``scipy.optimize.linprog``, quiet."""
    with _quiet():
        return optimize.linprog(*args, **named)


def integer_programme(*args: Any, **named: Any) -> Any:
    """``scipy.optimize.milp``, quiet."""
    with _quiet():
        return optimize.milp(*args, **named)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """HiGHS prints some notes whatever its options say; they would stand amid ``--json``."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is needed, not a file's content
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
