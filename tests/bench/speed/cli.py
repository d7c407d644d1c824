"""Start of the command line, against an interpreter that does nothing."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figure import Figure, Size
from interleaved import in_turn, medians

NEEDS: tuple[str, ...] = ()
ROUNDS = {Size.SMOKE: 1, Size.FULL: 15, Size.HUGE: 50}
CAMPAIGN = Path(__file__).parents[3] / "deploy/campaigns/lifecycle.yaml"
_TONNAGE = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


def _ms(*command: str) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        return (time.perf_counter() - begun) * 1e3

    return once


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds from start to exit."""
    found = medians(
        in_turn(
            ROUNDS[size],
            {
                "bare": _ms(sys.executable, "-c", ""),
                "--help": _ms(*_TONNAGE, "--help"),
                "validate": _ms(*_TONNAGE, "validate", str(CAMPAIGN)),
            },
        )
    )
    for command in ("--help", "validate"):
        yield Figure(f"tonnage {command}", found[command], "ms", found["bare"], "python -c ''")
