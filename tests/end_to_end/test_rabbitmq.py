"""Orders through a real RabbitMQ: a campaign, what waits its turn, and what is lost and found."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import yaml
from fleet import Process, alive, wait_until
from kombu import Connection
from rabbitmq_server import LOGIN, WORKER, RabbitMq
from trials import make_trial

from contract import wire
from contract.broker import connect
from contract.errors import BrokerError
from contract.parts import list_parts
from orchestrator import dispatch_celery
from orchestrator.dispatch import Delivery, Loss, Order
from orchestrator.dispatch_celery import CeleryDispatcher

pytestmark = [pytest.mark.rabbitmq, pytest.mark.redis, pytest.mark.xdist_group("rabbitmq")]

NO_ENGINES = ("--docker-socket", "/nowhere/docker", "--podman-socket", "/nowhere/podman")
NO_ENGINES += ("--libvirt-uri", "qemu:///system?socket=/nowhere")
HOLD_S = 2.0


class Rig:
    """A host with a worker whose orders come through RabbitMQ."""

    def __init__(self, folder: Path, rabbitmq: RabbitMq, state: str) -> None:
        self.host, self.folder = f"h-{secrets.token_hex(4)}", folder
        self.broker, self.state = f"{rabbitmq.url} {state}", state
        self.queue = Connection(rabbitmq.url)
        folders = ("--state-dir", str(folder / "state"), "--run-dir", str(folder / "run"))
        broker = self.broker.replace(LOGIN, WORKER)
        options = ("--name", self.host, "--broker", broker, *folders, *NO_ENGINES)
        self.worker = Process(folder / "worker.log", "worker", *options)
        wait_until(lambda: self.host in alive(state) or not self.worker.running, "the host is alive")
        assert self.worker.running, self.worker.said()

    def waiting(self) -> int:
        """Messages that RabbitMQ has not handed out."""
        with self.queue.channel() as channel:
            return int(channel.queue_declare(wire.queue_for(self.host), passive=True).message_count)

    def purge(self) -> None:
        with self.queue.channel() as channel:
            channel.queue_purge(wire.queue_for(self.host))

    def order(self, campaign: str, block: int, hold_s: float) -> Order:
        params = {"instances": 1, "ready": "started", "hold_s": hold_s}
        trial = make_trial(
            campaign=campaign, host=self.host, block=block, params=params, driver="process"
        )
        return Order(trial, 1)

    def measuring(self, order: Order) -> bool:
        with connect(self.state) as client:
            return bool(client.exists(wire.lease_key(self.host, order.trial.trial_id)))

    def kill_child(self) -> None:
        """The process that measures: the largest one. Its lease runs out at once."""
        children = psutil.Process(self.worker.pid).children()
        max(children, key=lambda child: child.memory_info().rss).kill()

    def forget_lease(self, order: Order) -> None:
        with connect(self.state) as client:
            client.delete(wire.lease_key(self.host, order.trial.trial_id))


@pytest.fixture(scope="module")
def rig(rabbitmq: RabbitMq, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("rabbitmq"), rabbitmq, redis_url)
    with closing(made.queue):
        yield made
        made.worker.kill()


def test_a_campaign_ends_well(rig: Rig, tmp_path: Path) -> None:
    entry = {"experiment": "lifecycle", "drivers": ["process"], "params": {"instances": 2}}
    campaign = {"campaign": f"c-{rig.host}", "hosts": {"names": [rig.host]}, "blocks": 2}
    file, results = tmp_path / "campaign.yaml", tmp_path / "results"
    file.write_text(yaml.safe_dump(campaign | {"experiments": [entry]}))
    where = ("--broker", rig.broker, "--results", str(results))
    coordinator = Process(tmp_path / "run.log", "run", str(file), *where)
    assert coordinator.wait() == 0, coordinator.said()
    assert len(list_parts(results / "parts")) == 2
    assert rig.waiting() == 0


def test_the_next_message_waits_in_its_queue_and_what_is_lost_is_found(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_celery, "LOST_AFTER_S", 0.2)
    campaign = f"d-{rig.host}"
    dispatcher = CeleryDispatcher(rig.broker, campaign, [rig.host])
    first, second = (rig.order(campaign, block, HOLD_S) for block in range(2))
    came: list[Delivery] = []

    def found(orders: list[Order]) -> list[Loss]:
        """What is lost, once it is; parts that come in meanwhile are kept."""
        losses: list[Loss] = []

        def look() -> bool:
            came.extend(dispatcher.receive(0.05))
            losses.extend(dispatcher.lost(orders))
            return bool(losses)

        wait_until(look, "something is lost")
        return losses

    for order in (first, second):
        dispatcher.send(order)
    wait_until(lambda: rig.measuring(first), "the first trial is measured")
    assert rig.waiting() == 1  # and not with a worker that has no time for it
    rig.purge()
    assert found([first, second]) == [Loss(second, begun=False)]
    again = Order(second.trial, 2)
    dispatcher.send(again)

    wait_until(lambda: rig.measuring(first) and rig.waiting() == 1, "the first is still measured")
    rig.kill_child()
    rig.forget_lease(first)
    wait_until(lambda: rig.measuring(again), "the next one is begun by the next child")
    assert found([first]) == [Loss(first, begun=True)]
    dispatcher.send(Order(first.trial, 2))

    def all_came() -> bool:
        came.extend(dispatcher.receive(0.2))
        return len(came) == 2

    wait_until(all_came, "both parts have come in")
    told = {(d.receipt.trial_id, d.receipt.attempt, d.receipt.outcome) for d in came}
    assert told == {(order.trial.trial_id, 2, "completed") for order in (first, second)}


def test_a_broker_that_does_not_know_us_is_no_reason_to_try_for_ever(
    rabbitmq: RabbitMq, redis_url: str, tmp_path: Path
) -> None:
    broker = f"{rabbitmq.url.replace(LOGIN, 'tonnage:guess')} {redis_url}"
    state = ("--name", "h-none", "--state-dir", str(tmp_path / "state"), *NO_ENGINES)
    worker = Process(tmp_path / "worker.log", "worker", "--broker", broker, *state)
    assert worker.wait() == 1
    assert "are user and password those of RabbitMQ?" in worker.said()
    assert "guess" not in worker.said()


def test_a_user_without_rights_is_told_so(rabbitmq: RabbitMq, redis_url: str) -> None:
    """A host's user may not send orders."""
    broker = f"{rabbitmq.url.replace(LOGIN, WORKER)} {redis_url}"
    trial = make_trial(host="h-thief", campaign="stolen")
    dispatcher = CeleryDispatcher(broker, "stolen", ["h-thief"])
    with pytest.raises(BrokerError, match="ACCESS_REFUSED"):
        dispatcher.send(Order(trial, 1))
