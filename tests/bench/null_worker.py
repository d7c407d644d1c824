"""A worker process for dispatch benchmarks: a worker of simulated hosts with one task more.

    PYTHONPATH=. python tests/bench/null_worker.py BROKER HOSTS FIRST measure|answer

``measure`` is ``tonnage worker --simulate``. ``answer`` delivers one ready-made part for every order and
measures nothing: what is left is dispatch. The other task, ``bench.nothing``, does nothing, in the same
process, from the same queues: the bare loop's.
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
from workers.launch import _serve
from workers.presence import probe_engine
from workers.service import WorkerConfig
from workers.settings import HostSettings

NOTHING = "bench.nothing"
DONE = "bench:done"
"""Set once all no-ops of a loop have run."""


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
    client = connect(broker)

    seen = 0

    @workers.app.app.task(name=NOTHING, ignore_result=True)  # type: ignore[untyped-decorator]
    def nothing(total: int) -> None:
        nonlocal seen
        seen += 1
        if seen == total:
            seen = 0
            client.set(DONE, 1)

    _serve(config, {"simulated": probe_engine("simulated", base)}, ["--pool", "solo"])


if __name__ == "__main__":
    main()
