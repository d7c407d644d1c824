"""How near mixed plans come to their lower bound, and how long they take.

Started by hand: `PYTHONPATH=. python tests/bench/mixed_packing.py --tasks 5`. Tasks are drawn at random:
shapes that take 2 % to 40 % of a small host's memory and processors, with a spread of a tenth, on three
kinds of hosts with prices. A row says for each size how many plans were proven best, and the gaps.
"""

import argparse
import random
import sys
import time

from analysis.capacity.cover import Effort
from analysis.capacity.packing import pack
from analysis.capacity.packing_task import HostKind, Need, PackingTask, Shape

SIZES = ((2, 1, 0), (3, 1, 0), (5, 1, 0), (8, 1, 0), (3, 20, 0), (8, 20, 0), (3, 1, 1), (5, 20, 1))
"""Shapes, times 5 to 40 instances of each, and failure domains of three that may be lost."""


def task_of(shapes: int, times: int, lost: int, seed: int) -> PackingTask:
    """One task."""
    rng = random.Random(seed)
    wanted = tuple(Shape(f"s{i}", rng.randint(5, 40) * times) for i in range(shapes))
    kinds = (
        HostKind("small", {"mem": 64.0, "cpu": 16.0}, 1.0),
        HostKind("wide", {"mem": 128.0, "cpu": 96.0}, 4.1),
        HostKind("big", {"mem": 256.0, "cpu": 48.0}, 3.3),
    )
    needs = {}
    for shape in wanted:
        mem, cpu = rng.uniform(1.3, 25), rng.uniform(0.3, 6.4)
        for kind in kinds:
            needs[shape.name, kind.name] = {
                "mem": Need(mem, mem / 10, 0.2),
                "cpu": Need(cpu, cpu / 10, 0.2),
            }
    return PackingTask(wanted, kinds, needs, risk_z=2.33, domains=3 if lost else 1, lost=lost)


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5, help="of each size")
    parser.add_argument("--seconds", type=float, default=3, help="of one search")
    given = parser.parse_args()
    for shapes, times, lost in SIZES:
        begun = time.monotonic()
        effort = Effort(given.seconds, 0.001)
        plans = [pack(task_of(shapes, times, lost, seed), effort) for seed in range(given.tasks)]
        gaps = sorted(plan.gap for plan in plans)
        took = (time.monotonic() - begun) / given.tasks
        sys.stdout.write(
            f"{shapes} shapes, {5 * times} to {40 * times} of each, {lost} of 3 domains lost: "
            f"{sum(gap < 1e-9 for gap in gaps)} of {len(gaps)} proven best, gap at most {gaps[-1]:.2%}, "
            f"median {gaps[len(gaps) // 2]:.2%}, {took:.1f} s each\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
