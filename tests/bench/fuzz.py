"""Fuzzing by one command, from the top of the sources:

    python tests/bench/fuzz.py                        # 1,000 cases of every target
    python tests/bench/fuzz.py --cases 50 parts plans # two, with 50 each
    python tests/bench/fuzz.py --list

A case is read, or refused by one of our errors. Anything else is a defect, and so is a case that takes
longer than ``MOST_CASE_S`` of processor time.

Exit codes: 0 nothing was found, 1 something was, 2 no such target.
"""

import argparse
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / place) for place in ("", "tests", "tests/bench")]

from fuzz_targets import Target, targets  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

from contract.errors import TonnageError  # noqa: E402

MOST_CASE_S = 10.0
MOST_GROWTH_MIB = 1024
"""By so much the process may have grown at its peak, over all cases of a target."""


@dataclass
class Found:
    """What became of a target's cases."""

    cases: int = 0
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    growth_mib: float = 0.0
    at: str = ""
    """The case that was read last."""
    defect: str = ""

    @property
    def fine(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.defect and self.growth_mib <= MOST_GROWTH_MIB


def fuzz(target: Target, cases: int, start: int = 1) -> Found:
    """Feed a target so many cases; it ends at the first defect, made as small as it goes."""
    found = Found()
    phases = (Phase.generate, Phase.shrink)
    checks = list(HealthCheck)
    before_mib = _peak_mib()

    with tempfile.TemporaryDirectory() as folder:

        @seed(start)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=checks,
        )
        @given(target.cases)
        def every(case: Any) -> None:
            _feed(target, Path(folder), case, found)

        try:
            every()
        except Exception as error:  # whatever it is, it is what we look for
            frames = traceback.format_tb(error.__traceback__)[-4:]
            found.defect = f"{found.at}\n{''.join(frames)}{type(error).__name__}: {error!s:.500}"
    found.growth_mib = _peak_mib() - before_mib
    return found


def _feed(target: Target, folder: Path, case: Any, found: Found) -> None:
    begun = time.process_time()
    found.at = f"{case!r:.1000}"
    try:
        target.read(folder, case)
        found.taken += 1
    except TonnageError as error:
        str(error).encode()  # it can be shown
        found.refused[type(error).__name__] += 1
    finally:
        found.cases += 1
        took_s = time.process_time() - begun
        found.slowest_s = max(found.slowest_s, took_s)
    assert took_s < MOST_CASE_S, f"a case of '{target.name}' took {took_s:.1f} s of processor time"


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run what was asked for, and print a line per target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    there = {target.name: target for target in targets()}
    if asked.list or set(asked.names) - set(there):
        print("\n".join(there))
        return 0 if asked.list else 2
    fine, total = True, 0
    for name in asked.names or there:
        found = fuzz(there[name], asked.cases, asked.seed)
        fine, total = fine and found.fine, total + found.cases
        refused = ", ".join(f"{count} {word}" for word, count in found.refused.most_common())
        print(
            f"{name:24} {found.cases:6} cases: {found.taken} taken; refused: {refused or 'none'}; "
            f"slowest {found.slowest_s:.2f} s; memory +{found.growth_mib:.0f} MiB",
            flush=True,
        )
        if found.defect:
            print(found.defect)
    print(f"{total} cases; {'nothing was found' if fine else 'DEFECTS, see above'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
