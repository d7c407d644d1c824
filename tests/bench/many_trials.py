"""Plans and results folders of many trials, made quickly: what gathering and resuming are timed on."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from contract.campaign import Campaign
from contract.parts import PackedPart, TrialRecord, pack_part
from contract.rows import InstanceRow, Rows, Sample
from contract.trial import Trial
from contract.yaml_source import YamlSource
from orchestrator.plan import plan_cells, plan_trials
from orchestrator.received import End, note_ends
from orchestrator.results import Results
from workers.discover import build_catalog
from workers.engines.simulated_truth import SimulatedSettings
from workers.sampler import METRICS

MS = 1_000_000
TRIALS_PER_HOST = 100
FACTS = {"cpu_count": 64, "mem_bytes": 1 << 36, "labels": {"rack": "a"}, "emulated": False}
_UNITS = {metric.name: metric.unit for metric in METRICS}
TEXT = """
campaign: many
blocks: 10
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {concurrency: [1, 2, 4, 8, 16], residents: [0, 10]}
"""


def plan(trials: int, per_host: int = TRIALS_PER_HOST) -> tuple[Trial, ...]:
    """So many trials of ten cells, planned as a campaign's are."""
    source = YamlSource(Path("many.yaml"), TEXT)
    campaign = Campaign.model_validate(source.data | {"blocks": per_host // 10})
    cells = plan_cells(campaign, source, build_catalog())
    hosts = [f"h{number:05}" for number in range(-(-trials // per_host))]
    return plan_trials(campaign, cells, hosts)[:trials]


def parts(trials: Sequence[Trial], instances: tuple[int, int] = (10, 100)) -> Iterator[PackedPart]:
    """A part of every trial, with a number of instances between these two and a sample a second."""
    drawn = random.Random(7)
    truth = SimulatedSettings().model_dump(mode="json")
    for number, trial in enumerate(trials):
        record = TrialRecord(
            trial=trial,
            outcome="completed",
            verdict="valid",
            started_at_ns=1_790_000_000_000_000_000 + number * 10**9,
            duration_ns=10**10,
            facts=FACTS | {"truth": truth},
            versions={"tonnage": "0.1.0", "python": "3.11.7", "kernel": "6.1.0"},
        )
        yield pack_part(record, _rows(drawn.randint(*instances), trial, drawn))


def fill(results: Results, trials: Sequence[Trial], instances: tuple[int, int] = (10, 100)) -> None:
    """Freeze the plan and leave what a coordinator does that stores all parts, but wait for no disk."""
    results.parts.mkdir(parents=True)
    results.freeze(TEXT, tuple(trials))
    for part in parts(trials, instances):
        (results.parts / part.name).write_bytes(part.data)
        note_ends(results.received, {part.name: (len(part.data), End("completed", "valid", ""))})


def _rows(count: int, trial: Trial, drawn: random.Random) -> Rows:
    level = int(str(trial.params["concurrency"]))
    return Rows([_instance(number, level, drawn) for number in range(count)], list(_samples(drawn)))


def _instance(number: int, level: int, drawn: random.Random) -> InstanceRow:
    at = [number // level * 200 * MS]
    for mean_ms in (0.01, 20, 30, 40, 10, 50, 20, 5, 10):
        at.append(at[-1] + round(drawn.lognormvariate(0, 0.2) * mean_ms * MS))
    intent, call, created, started, beacon, ready, stop, gone, exited, reclaimed = at
    return InstanceRow(
        number,
        "ok",
        concurrency=level,
        t_intent=intent,
        t_call=call,
        t_created=created,
        t_started=started,
        t_beacon=beacon,
        t_ready=ready,
        t_stop_call=stop,
        t_gone=gone,
        t_exited=exited,
        t_reclaimed=reclaimed,
        guest_uptime_ns=beacon - started,
    )


def _samples(drawn: random.Random) -> Iterator[Sample]:
    for second in range(5):
        for name, unit in islice(_UNITS.items(), 6):
            yield Sample(second * 10**9, name, drawn.random(), unit)
