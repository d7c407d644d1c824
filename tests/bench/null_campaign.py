"""A coordinator process for dispatch benchmarks: ``tonnage run`` without gathering and report.

    PYTHONPATH=. python tests/bench/null_campaign.py BROKER FOLDER BLOCKS CAMPAIGN

Prints what it took, as JSON: wall and CPU seconds of planning and of the loop, peak memory, trials.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contract.campaign import load_campaign
from contract.trial import Receipt, Trial
from orchestrator.cli.execution import _planned_rows
from orchestrator.coordinate import Coordination
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.muster import Muster
from orchestrator.observer import Event, Observer
from orchestrator.plan import plan_cells, plan_trials
from orchestrator.results import Results
from workers.discover import build_catalog


class Counting(Observer):
    """Counts what ends."""

    ended = 0

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """One more."""
        assert receipt.outcome == "completed", receipt
        self.ended += 1

    def note(self, text: str, event: Event = "note", host: str = "") -> None:
        """Whatever it is, it should not be."""
        print(text, file=sys.stderr)


def write_campaign(folder: Path, name: str, blocks: int) -> Path:
    """A campaign of one null trial per host and block: one instance, on the simulated driver."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "null.yaml"
    file.write_text(
        f"campaign: {name}\nblocks: {blocks}\nexperiments:\n"
        "  - {experiment: lifecycle, drivers: [simulated], params: {instances: 1}}\n"
    )
    return file


def null_trials(hosts: Sequence[str], blocks: int) -> tuple[Trial, ...]:
    """Null trials for all hosts, ordered by block."""
    with tempfile.TemporaryDirectory(prefix="tng-null-") as folder:
        campaign, source = load_campaign(write_campaign(Path(folder), "nulls", blocks))
    cells = plan_cells(campaign, source, build_catalog())
    return tuple(sorted(plan_trials(campaign, cells, hosts), key=lambda trial: trial.block))


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What work returns, with wall and CPU seconds."""
    wall, cpu = time.monotonic(), time.process_time()
    made = work()
    return made, {"wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu}


def main() -> None:
    """Run the campaign."""
    broker, folder, blocks, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    file = write_campaign(folder, name, int(blocks))
    campaign, source = load_campaign(file)
    cells = plan_cells(campaign, source, build_catalog())
    results, observer = Results(folder), Counting()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def prepare() -> tuple[tuple[Trial, ...], CeleryDispatcher]:
        fleet = Muster(broker, campaign, set())
        trials = plan_trials(campaign, cells, fleet.hosts)
        dispatcher = CeleryDispatcher(broker, name, fleet.hosts)
        dispatcher.claim()
        results.freeze(file.read_text(), trials)
        return trials, dispatcher

    with results.locked():
        (trials, dispatcher), preparing = timed(prepare)
        loop = Coordination(trials, results, dispatcher, observer, _planned_rows)
        _, looping = timed(lambda: loop.run(lambda: False))
        dispatcher.release()
    assert len(results.attempts()) == len(trials) == observer.ended
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {"trials": len(trials), "prepare": preparing, "loop": looping}
    print(json.dumps(said | {"peak_bytes": peak * 1024, "before_bytes": before * 1024}))


if __name__ == "__main__":
    main()
