"""A worker process for dispatch benchmarks: a worker of simulated hosts with one task more.

    PYTHONPATH=. python tests/bench/null_worker.py BROKER HOSTS FIRST measure|answer

``measure`` is ``tonnage worker --simulate``. ``answer`` delivers one ready-made part for every order and
measures nothing: what is left is dispatch. The bare loops' tasks are in the same process, on the same
queues: ``bench.nothing`` does nothing, ``bench.trial`` measures the trial that it is sent.
"""

import os
import sys
import uuid
from pathlib import Path
from typing import Any

from contract.broker import connect
from contract.message import decode_message
from contract.parts import PackedPart, TrialRecord, pack_part
from contract.rows import InstanceRow, Rows
from contract.trial import Receipt, Trial
from workers.delivery import deliver
from workers.launch import NOTHING_SHOWN, _present, _serve
from workers.presence import probe_engine
from workers.run import Assignment, run_trial
from workers.service import WorkerConfig
from workers.settings import HostSettings

NOTHING, TRIAL = "bench.nothing", "bench.trial"
DONE = "bench:done"
"""Set once all tasks of a bare loop have run."""


def null_part(trial: Trial) -> PackedPart:
    """What a null trial leaves, as bytes."""
    record = TrialRecord(
        trial=trial, outcome="completed", verdict="valid", started_at_ns=1, virtual=True
    )
    return pack_part(record, Rows([InstanceRow(0, "ok", t_intent=0, t_call=1, t_ready=2)]))


class Answering:
    """In place of ``workers.service.Service``: every order gets the same part, under its own receipt."""

    def __init__(self, config: WorkerConfig) -> None:
        self._client = connect(config.broker)
        self._part: PackedPart | None = None

    def handle(self, body: dict[str, Any]) -> None:
        """Read the order, as a worker must, and deliver."""
        message = decode_message(body, body["host"])
        trial = message.trial
        self._part = self._part or null_part(trial)
        changes = {"trial_id": trial.trial_id, "attempt": message.attempt, "host": trial.host}
        receipt = Receipt.model_validate(self._part.receipt.model_dump() | changes)
        deliver(self._client, receipt, self._part.data, trial.campaign)


def add_bare_tasks(config: WorkerConfig) -> None:
    """Tasks of bare loops. Each is told how many there are in all."""
    import workers.app
    import workers.consumer

    guard = workers.consumer.take_in  # which believes orders alone

    def let_bare_ones_in(message: Any) -> None:
        if message.headers.get("task") not in (NOTHING, TRIAL):
            guard(message)

    workers.consumer.take_in = let_bare_ones_in
    client = connect(config.broker)
    hosts = {host.name: host for host in config.hosts}
    seen = 0

    def count_one(total: int) -> None:
        nonlocal seen
        seen += 1
        if seen == total:
            seen = 0
            client.set(DONE, 1)

    @workers.app.app.task(name=NOTHING, ignore_result=True)  # type: ignore[untyped-decorator]
    def nothing(total: int) -> None:
        count_one(total)

    @workers.app.app.task(name=TRIAL, ignore_result=True)  # type: ignore[untyped-decorator]
    def measure(total: int, content: dict[str, Any]) -> None:
        trial = Trial.model_validate(content)
        run_trial(Assignment(trial, 1, hosts[trial.host], config.boot))
        count_one(total)


def main() -> None:
    """Be the worker until told to stop."""
    broker, count, first, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    base = HostSettings(name="base", state_dir=Path(os.environ["TONNAGE_STATE_DIR"]))
    numbers = range(first, first + count)
    hosts = tuple(base.model_copy(update={"name": f"sim-{number:04d}"}) for number in numbers)
    config = WorkerConfig(broker=broker, hosts=hosts, boot=uuid.uuid4().hex, simulated=True)
    os.environ["TONNAGE_WORKER_CONFIG"] = config.model_dump_json()

    import workers.app

    if how == "answer":
        workers.app.Service = Answering  # type: ignore[misc,assignment]
    add_bare_tasks(config)
    with _present(config, NOTHING_SHOWN) as presence:
        _serve(config, presence, {"simulated": probe_engine("simulated", base)}, ["--pool", "solo"])


if __name__ == "__main__":
    main()
