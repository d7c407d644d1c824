"""Start of the command line, against an interpreter that does nothing."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from figure import Figure, Size
from interleaved import in_turn, medians

NEEDS: tuple[str, ...] = ()
ROUNDS = {Size.SMOKE: 1, Size.FULL: 15, Size.HUGE: 50}
CAMPAIGN = Path(__file__).parents[3] / "deploy/campaigns/lifecycle.yaml"
_TONNAGE = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


def _ms(environment: Mapping[str, str], *command: str) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, env=dict(environment))
        return (time.perf_counter() - begun) * 1e3

    return once


def measure(size: Size) -> Iterator[Figure]:
    """Milliseconds from start to exit, with the bytecode there: an installation brings or makes it."""
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as compiled:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ways = {
            "bare": _ms(environment, sys.executable, "-c", ""),
            "--help": _ms(environment, *_TONNAGE, "--help"),
            "validate": _ms(environment, *_TONNAGE, "validate", str(CAMPAIGN)),
        }
        found = medians(in_turn(ROUNDS[size], ways))
    for command in ("--help", "validate"):
        yield Figure(f"tonnage {command}", found[command], "ms", found["bare"], "python -c ''")
