"""Two releases on one broker: neither side takes the other's word, and both say what to do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet import PATIENCE_S, Broker, alive, own_broker, wait_until
from trials import make_trial

from contract import CONTRACT_VERSION, wire
from contract.campaign import load_campaign
from contract.errors import UseError
from orchestrator.dispatch import Order
from orchestrator.dispatch_celery import CeleryDispatcher
from orchestrator.muster import Muster
from workers.presence import Presence
from workers.service import WorkerConfig
from workers.settings import HostSettings

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("hosts h1, h2, h3")]

LATER = CONTRACT_VERSION + 1
AS_LATER = (
    f"import contract; contract.CONTRACT_VERSION = {LATER}; from orchestrator.cli import main; main()"
)
CAMPAIGN = """\
campaign: versions
hosts: all
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {instances: 3}
"""


def later(*words: str) -> list[str]:
    """A command of the next release."""
    return [sys.executable, "-c", AS_LATER, *words]


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}


@contextmanager
def later_worker(broker: Broker, folder: Path) -> Iterator[None]:
    places = ["--state-dir", str(folder / "state"), "--run-dir", str(folder / "run")]
    command = later("worker", "--simulate", "1", "--broker", broker.url, *places)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=clean())
    try:
        wait_until(lambda: alive(broker.url) == {"sim-0001"}, "the later worker is alive")
        yield
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def test_a_later_worker_and_this_coordinator(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    campaign, _ = load_campaign(tmp_path / "c.yaml")
    with own_broker() as broker, later_worker(broker, tmp_path):
        told = f"speak contract version {LATER}, this coordinator {CONTRACT_VERSION}"
        with pytest.raises(UseError, match=told):
            Muster(broker.url, campaign, set())
        dispatcher = CeleryDispatcher(broker.url, "versions", ["sim-0001"])
        order = Order(make_trial(campaign="versions", host="sim-0001"), 1)
        dispatcher.send(order)  # as a coordinator would that had chosen it before its worker changed
        client = broker.client()
        wait_until(lambda: bool(client.xlen(wire.REFUSED)), "the order is refused")
        (loss,) = dispatcher.lost([order])
    assert (
        f"this worker speaks contract version {LATER}, the message has {CONTRACT_VERSION}"
        in loss.refused
    )
    assert "bring coordinator and worker to the same release of Tonnage" in loss.refused
    assert "(the coordinator is the older one)" in loss.refused


def test_this_worker_and_a_later_coordinator(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    host = HostSettings(name="h1", state_dir=tmp_path, run_dir=tmp_path)
    with own_broker() as broker:
        config = WorkerConfig(broker=broker.url, hosts=(host,), boot="b", simulated=True)
        presence = Presence(config)
        presence.begin({"simulated": {"present": True}})
        try:
            words = later("run", str(tmp_path / "c.yaml"), "--broker", broker.url)
            ran = subprocess.run(
                words, cwd=tmp_path, env=clean(), capture_output=True, text=True, timeout=PATIENCE_S
            )
        finally:
            presence.end()
    assert ran.returncode == 1, ran.stderr
    told = f"hosts h1 run another version of Tonnage: they speak contract version {CONTRACT_VERSION}"
    assert told in ran.stderr
    assert f"this coordinator {LATER}; bring them to one release" in ran.stderr
