"""Whether the capacity plan recommends what simulated fleets really need.

Started by hand: `PYTHONPATH=.:tests/analysis python tests/bench/capacity_truth.py --fleets 30`. Of every
kind so many fleets are drawn, each is measured by a finite campaign, and its demand is planned from the
dataset. Then demands are drawn from the truth and placed on the recommended hosts, the worst domains
taken away. A row says in what share of the demands of all fleets the recommended hosts survived, by how
much they lie above the fewest hosts that survive in 95 % of them, and how often below.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from capacity_fleets import KINDS, Fleet, Kind, demand_text, demands, fewest, measure, survives

from analysis.capacity.answer import Plan
from analysis.capacity.answering import answer
from analysis.capacity.demand import load_demand
from analysis.dataset import open_dataset

CONFIDENCE = 0.95
DEMANDS = 4000


def plan_of(fleet: Fleet, folder: Path) -> Plan:
    """The plan that the dataset of one campaign on the fleet gives."""
    dataset = measure(fleet, folder)
    file = folder / "demand.yaml"
    file.write_text(demand_text(fleet))
    with open_dataset(dataset, check_sums=False) as opened:
        return answer(opened, *load_demand(file)).plans[0]


def row(kind: Kind, fleets: int) -> dict[str, float | str]:
    """One kind of fleets."""
    survived, above, weak, impossible = [], [], [], []
    for seed in range(fleets):
        fleet = kind.fleet(seed)
        with tempfile.TemporaryDirectory() as folder:
            plan = plan_of(fleet, Path(folder))
        wanted = demands(fleet, DEMANDS, 99)
        best = fewest(fleet, CONFIDENCE, wanted)
        if best is None or not np.isfinite(plan.recommended):
            impossible.append(seed)
            continue
        hosts = round(plan.recommended)
        survived.append(float(survives(fleet, hosts, wanted).mean()))
        above.append(hosts / best - 1)
        weak.append(hosts < best)
    return {
        "kind": kind.name,
        "fleets": len(survived),
        "impossible": len(impossible),
        "survived": float(np.mean(survived)),
        "survived_least": float(np.min(survived)),
        "above_mean": float(np.mean(above)),
        "above_median": float(np.median(above)),
        "above_p90": float(np.quantile(above, 0.9)),
        "below_optimum": float(np.mean(weak)),
    }


def main() -> None:
    """Print one line per kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleets", type=int, default=30, help="of each kind")
    parser.add_argument("--kind", help="only this one")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for kind in KINDS:
        if given.kind not in (None, kind.name):
            continue
        begun = time.monotonic()
        found = row(kind, given.fleets)
        rows.append(found)
        sys.stdout.write(
            f"{kind.name:26} {found['fleets']:4} fleets  survived {found['survived']:.1%} "
            f"(least {found['survived_least']:.0%})  above optimum: mean {found['above_mean']:+.1%}, "
            f"median {found['above_median']:+.1%}, 90 % {found['above_p90']:+.1%}  "
            f"below it {found['below_optimum']:.0%}  not possible {found['impossible']}  "
            f"{time.monotonic() - begun:.0f} s\n"
        )
        sys.stdout.flush()
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
