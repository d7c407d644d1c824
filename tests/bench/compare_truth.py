"""Truth of `tonnage compare`: how often it claims what is not so, and finds what is.

Run it by hand from the top of the sources; it takes half a second a pair:

    PYTHONPATH=.:tests:tests/analysis python tests/bench/compare_truth.py --pairs 1000

Datasets are made in memory, so the files and their checking are left out; everything else is what the
command runs: cells, DuckDB, effects, one Holm correction over all verdicts of an answer. An A/A answer
counts as false when it claims faster, slower, better or worse in anything at all.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from runs_of_truth import Truth, across_two, claims, says_slower, within_one

from analysis.compare.comparison import Comparison
from analysis.statistics.proportions import wilson

EFFECT = 1.10
ONE_HOST = Truth(hosts=1)
FLEET = Truth(hosts=4)
CASES: dict[str, tuple[Callable[[Truth, int, float], Comparison], Truth]] = {
    "one campaign, 1 host": (within_one, ONE_HOST),
    "two datasets, 4 hosts": (across_two, FLEET),
    "two datasets, 4 hosts, blocks alike": (across_two, replace(FLEET, serial=0.5, trend=0.0)),
    "two datasets, 1 host": (across_two, ONE_HOST),
}
PROMISED = ("one campaign, 1 host", "two datasets, 4 hosts")
"""Cases in which the effect has to be found in 80 % of the pairs; false claims are bounded in all."""


def measure(name: str, pairs: int, found_pairs: int, first_seed: int) -> dict[str, Any]:
    """False claims over A/A pairs and finds over A/B pairs of one case."""
    run, truth = CASES[name]
    begun = time.monotonic()
    false: Counter[str] = Counter()
    wrong = 0
    for seed in range(first_seed, first_seed + pairs):
        claimed = claims(run(truth, seed, 1.0))
        wrong += bool(claimed)
        false.update(claimed)
    seeds = range(first_seed + 1_000_000, first_seed + 1_000_000 + found_pairs)
    hits = sum(says_slower(run(truth, seed, EFFECT)) for seed in seeds)
    return {
        "case": name,
        "truth": vars(truth) | {"profiles": list(truth.profiles)},
        "aa_pairs": pairs,
        "aa_false": wrong / pairs,
        "aa_false_interval": wilson(wrong, pairs),
        "aa_false_in": dict(false.most_common()),
        "ab_pairs": found_pairs,
        "ab_found": hits / found_pairs,
        "ab_found_interval": wilson(hits, found_pairs),
        "seconds": round(time.monotonic() - begun, 1),
    }


def main() -> int:
    """Print and write the truth of every case; 1 when a bound is broken where one is promised."""
    parser = argparse.ArgumentParser(description="Truth of tonnage compare.")
    parser.add_argument("--pairs", type=int, default=1000, help="A/A pairs of each case")
    parser.add_argument("--found-pairs", type=int, default=0, help="A/B pairs; default: a fifth")
    parser.add_argument("--case", action="append", choices=CASES, help="only this; repeatable")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("compare_truth.json"))
    given = parser.parse_args()
    results = []
    for name in given.case or CASES:
        found = measure(name, given.pairs, given.found_pairs or max(1, given.pairs // 5), given.seed)
        results.append(found)
        low, high = found["aa_false_interval"]
        print(
            f"{name}: A/A false {found['aa_false']:.1%} ({low:.1%} to {high:.1%}) of {given.pairs}; "
            f"A/B found {found['ab_found']:.0%} of {found['ab_pairs']}; {found['seconds']} s",
            flush=True,
        )
        given.out.write_text(json.dumps(results, indent=1))
    promised = [r for r in results if r["case"] in PROMISED]
    false = all(r["aa_false"] <= 0.05 for r in results)
    return 0 if false and all(r["ab_found"] >= 0.8 for r in promised) else 1


if __name__ == "__main__":
    sys.exit(main())
