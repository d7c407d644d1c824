"""What a worker does with a message: refuse, drop, deliver from the spool, or measure under a lease."""

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fleet import own_broker, wait_until
from trials import make_part, make_trial

import workers.lease
import workers.presence
import workers.service
from contract import CONTRACT_VERSION, wire
from contract.broker import connect
from contract.errors import BrokerError, HostBusy, KeyFileError
from contract.message import Message
from contract.parts import PackedPart, read_part
from contract.refusals import last_refusals
from contract.signing import HostKey, Keys, make_keys, seal, unseal
from contract.sweeping import SweepAnswer, SweepOrder, answer_key
from contract.trial import Receipt, Trial
from orchestrator.fleet import read_fleet
from workers.presence import Presence
from workers.run import Assignment, run_trial
from workers.service import Service, WorkerConfig
from workers.settings import HostSettings
from workers.spool import Spool

pytestmark = pytest.mark.redis


class Rig:
    """One worker's service, its broker, and trials of a campaign that nobody else has."""

    def __init__(self, broker: str, host: HostSettings) -> None:
        self.host = host
        self.config = WorkerConfig(broker=broker, hosts=(host,), boot=secrets.token_hex(8))
        self.client = connect(broker)
        self.campaign = f"c-{secrets.token_hex(4)}"
        self.run = secrets.token_hex(16)
        self.measured: list[Assignment] = []
        self.meanwhile: Callable[[Assignment], None] = lambda _: None
        """What happens while a trial is being measured."""

    def measure(self, assignment: Assignment) -> PackedPart:
        self.measured.append(assignment)
        self.meanwhile(assignment)
        return run_trial(assignment)

    def trial(self, **changes: Any) -> Trial:
        return make_trial(campaign=self.campaign, host=self.host.name, **changes)

    def body(self, trial: Trial | None = None, **changes: Any) -> dict[str, Any]:
        content = {"run": self.run, "host": self.host.name, "attempt": 1, "nonce": "n" * 16}
        content |= {"trial": (trial or self.trial()).model_dump(mode="json"), "issued_at_ns": 1}
        return Message.model_validate(content | changes).model_dump(mode="json")

    def handle(self, body: object) -> None:
        Service(self.config).handle(body)

    @property
    def spool(self) -> Spool:
        return Spool(self.host.state_dir / "spool")

    def delivered(self) -> list[bytes]:
        """The parts on the campaign's stream."""
        return [fields[b"part"] for _, fields in self.client.xrange(wire.stream_key(self.campaign))]

    def key(self) -> str:
        return wire.lease_key(self.host.name, self.trial().trial_id)


@pytest.fixture
def rig(redis_url: str, host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(redis_url, host_settings)
    monkeypatch.setattr(workers.service, "run_trial", made.measure)
    yield made
    made.client.delete(wire.stream_key(made.campaign), wire.cancel_key(made.run))


def test_a_trial_is_measured_spooled_and_delivered(rig: Rig) -> None:
    rig.handle(rig.body())
    (data,) = rig.delivered()
    assert read_part(data).record.outcome == "completed"
    assert rig.spool.waiting() == []
    assert rig.spool.find(rig.trial().trial_id, 0) is not None
    assert 0 < rig.client.ttl(wire.stream_key(rig.campaign)) <= wire.STREAM_TTL_S


def test_the_lease_and_the_activity_last_as_long_as_the_trial(rig: Rig) -> None:
    seen: list[dict[str, Any]] = []

    def look(assignment: Assignment) -> None:
        activity = wire.activity_key(rig.host.name)
        wait_until(lambda: bool(rig.client.exists(activity)), "an activity")
        assert 0 < rig.client.ttl(rig.key()) <= wire.LEASE_TTL_S
        seen.append(json.loads(rig.client.get(activity) or b"{}"))

    rig.meanwhile = look
    rig.handle(rig.body())
    assert seen[0]["trial"] == rig.trial().trial_id
    assert (seen[0]["experiment"], seen[0]["driver"]) == ("lifecycle", "simulated")
    assert rig.client.exists(rig.key(), wire.activity_key(rig.host.name)) == 0


def test_a_lease_is_renewed_while_the_trial_runs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.lease, "RENEW_S", 0.05)

    def look(assignment: Assignment) -> None:
        rig.client.expire(rig.key(), 2)
        wait_until(lambda: rig.client.ttl(rig.key()) > 2, "the lease is renewed")

    rig.meanwhile = look
    rig.handle(rig.body())
    assert len(rig.delivered()) == 1


def test_a_trial_that_another_worker_is_at_is_dropped(rig: Rig) -> None:
    rig.client.set(rig.key(), "another", ex=60)
    rig.handle(rig.body())
    assert rig.measured == []
    assert rig.delivered() == []
    assert rig.client.get(rig.key()) == b"another"
    rig.client.delete(rig.key())


def test_a_second_message_delivers_and_measures_nothing(rig: Rig) -> None:
    for _ in range(2):
        rig.handle(rig.body())
    first, second = rig.delivered()
    assert first == second
    assert len(rig.measured) == 1


def test_a_later_attempt_is_content_with_an_earlier_part(rig: Rig) -> None:
    """The coordinator took the first attempt for lost, but the spool had it."""
    rig.handle(rig.body())
    rig.handle(rig.body(attempt=2))
    assert len(rig.measured) == 1
    assert read_part(rig.delivered()[1]).record.attempt == 1


def test_a_trial_that_is_asked_for_anew_is_measured_anew(rig: Rig) -> None:
    rig.handle(rig.body())
    rig.handle(rig.body(attempt=2, newer_than=1))
    assert [assignment.attempt for assignment in rig.measured] == [1, 2]
    assert [read_part(data).record.attempt for data in rig.delivered()] == [1, 2]


def test_a_part_that_waits_is_delivered_and_not_measured_again(rig: Rig) -> None:
    packed = make_part(rig.trial())
    rig.spool.put(packed)
    rig.handle(rig.body())
    assert rig.measured == []
    assert rig.delivered() == [packed.data]


def test_a_damaged_part_is_measured_again(rig: Rig) -> None:
    packed = make_part(rig.trial())
    rig.spool.put(packed)
    (path,) = rig.spool.waiting()
    path.write_bytes(packed.data[:100])
    rig.handle(rig.body())
    assert len(rig.measured) == 1
    assert len(rig.delivered()) == 1


def test_a_message_of_a_cancelled_run_is_dropped(rig: Rig) -> None:
    rig.client.set(wire.cancel_key(rig.run), wire.CANCEL_QUEUED, ex=60)
    rig.handle(rig.body())
    assert rig.measured == []
    rig.handle(rig.body(run=secrets.token_hex(16)))
    assert len(rig.measured) == 1


@pytest.mark.parametrize(("word", "parts"), [(wire.CANCEL_QUEUED, 1), (wire.CANCEL_NOW, 0)])
def test_a_running_trial_ends_only_when_asked_to(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, word: bytes, parts: int
) -> None:
    monkeypatch.setattr(workers.lease, "RENEW_S", 0.05)

    def cancel(assignment: Assignment) -> None:
        rig.client.set(wire.cancel_key(rig.run), word, ex=60)
        if word == wire.CANCEL_NOW:
            wait_until(assignment.cancelled, "the worker hears of it")

    rig.meanwhile = cancel
    rig.handle(rig.body())
    assert len(rig.delivered()) == parts
    assert (rig.spool.find(rig.trial().trial_id, 0) is not None) == bool(parts)
    assert rig.client.exists(rig.key()) == 0


def bad_bodies(rig: Rig) -> dict[str, object]:
    other = rig.body()
    other["trial"]["contract"] = CONTRACT_VERSION + 1
    elsewhere = rig.body(rig.trial().model_copy(update={"host": "elsewhere"}))
    return {
        "bring coordinator and worker to the same release": other,
        "a message for host 'elsewhere' reached": rig.body() | {"host": "elsewhere"},
        "reached host": elsewhere,
        "a message for host '' reached": "garbage",
        "a message for host 'None' reached": {},
        "not a message": rig.body() | {"operation": "reboot"},
    }


def test_bad_messages_are_logged_and_harm_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for complaint, body in bad_bodies(rig).items():
        caplog.clear()
        with caplog.at_level(logging.WARNING, "tonnage.worker"):
            rig.handle(body)
        assert "message refused" in caplog.text
        assert complaint in caplog.text
        refusal = last_refusals(rig.client, 1)[0].refusal
        assert complaint in refusal.text
        assert refusal.host == rig.host.name
    assert rig.measured == []
    assert rig.delivered() == []


def test_an_order_cannot_have_its_part_put_where_the_policy_lets_none_go(
    rig: Rig, tmp_path: Path
) -> None:
    policy, root, elsewhere = (tmp_path / name for name in ("policy.yaml", "root", "elsewhere"))
    policy.write_text(f"results_roots: [{root}]")
    host = rig.host.model_copy(update={"policy": policy})
    rig.config = rig.config.model_copy(update={"hosts": (host,)})
    rig.handle(rig.body(results=str(root)))
    assert len(rig.measured) == 1
    for trial in (rig.trial(), rig.trial(block=1)):  # the first one's part lies in the spool already
        rig.handle(rig.body(trial, results=str(elsewhere)))
        refusal = last_refusals(rig.client, 1)[0].refusal
        assert (refusal.cause, refusal.trial) == ("policy", trial.trial_id)
        assert f"rule 'results_roots' allows {root}, not {elsewhere}" in refusal.text
    assert not elsewhere.exists()
    assert len(rig.measured) == 1
    policy.write_text("[")  # what cannot be read allows nothing
    rig.handle(rig.body(rig.trial(block=2), results=str(root)))
    assert "nothing is allowed" in last_refusals(rig.client, 1)[0].refusal.text
    assert len(rig.measured) == 1


@pytest.fixture
def keyed(rig: Rig, tmp_path: Path) -> Rig:
    """The same host with a key."""
    make_keys(tmp_path / "keys", [rig.host.name])
    rig.config = rig.config.model_copy(update={"key": tmp_path / "keys"})
    return rig


def signed(rig: Rig, body: dict[str, Any]) -> dict[str, Any]:
    return seal(rig.config.keys()[rig.host.name], "order", rig.host.name, json.dumps(body))


def test_with_a_key_what_is_signed_is_measured_and_signed(keyed: Rig) -> None:
    now_ns = time.time_ns()
    keyed.handle(keyed.body(issued_at_ns=now_ns))
    assert keyed.measured == []
    keyed.handle(signed(keyed, keyed.body(issued_at_ns=now_ns)))
    assert len(keyed.measured) == 1
    ((_, fields),) = keyed.client.xrange(wire.stream_key(keyed.campaign))
    name = keyed.host.name
    receipt = unseal(keyed.config.keys()[name], "record", name, json.loads(fields[b"receipt"]))
    assert Receipt.model_validate_json(receipt).sha256 == hashlib.sha256(fields[b"part"]).hexdigest()


@pytest.mark.parametrize("with_key", [False, True])
def test_a_sweep_answers_who_asked_and_signs_it(keyed: Rig, with_key: bool) -> None:
    if not with_key:
        keyed.config = keyed.config.model_copy(update={"key": None})
    name, answer_to = keyed.host.name, secrets.token_hex(16)
    order = SweepOrder(
        host=name, dry_run=True, answer_to=answer_to, issued_at_ns=time.time_ns(), nonce="n" * 16
    ).model_dump()
    keyed.handle(signed(keyed, order) if with_key else order)
    text = (keyed.client.lpop(answer_key(answer_to)) or b"").decode()
    if with_key:
        text = unseal(keyed.config.keys()[name], "answer", name, json.loads(text))
    answer = SweepAnswer.model_validate_json(text)
    assert (answer.host, answer.answer_to, answer.failed) == (name, answer_to, ())


def test_a_replayed_sweep_is_refused(keyed: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[str] = []
    monkeypatch.setattr(
        workers.service, "sweep_host", lambda *_, **__: (swept.append("once"), ([], []))[1]
    )
    order = SweepOrder(
        host=keyed.host.name,
        dry_run=False,
        answer_to=secrets.token_hex(16),
        issued_at_ns=time.time_ns(),
        nonce="n" * 16,
    )
    service, body = Service(keyed.config), signed(keyed, order.model_dump())
    service.handle(body)
    service.handle(body)
    assert swept == ["once"]
    assert last_refusals(keyed.client, 1)[0].refusal.cause == "replayed"
    keyed.client.delete(answer_key(order.answer_to))


def test_several_hosts_need_a_folder_of_keys(keyed: Rig) -> None:
    hosts = (keyed.host, keyed.host.model_copy(update={"name": "other"}))
    config = keyed.config.model_copy(update={"hosts": hosts})
    with pytest.raises(KeyFileError, match=r"other\.key cannot be read"):
        config.keys()
    one = config.model_copy(update={"key": keyed.config.key / f"{keyed.host.name}.key"})  # type: ignore[operator]
    with pytest.raises(KeyFileError, match="several hosts need a folder"):
        one.keys()


def test_a_part_that_is_too_large_waits_and_its_campaign_is_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = rig.trial(params={"instances": 1000}, deadline_s=80_000.0)
    whole = len(run_trial(Assignment(trial, 1, rig.host, "boot")).data)
    monkeypatch.setattr(wire, "MAX_MESSAGE_PART_BYTES", whole - 100)
    rig.handle(rig.body(trial))
    (word,) = map(read_part, rig.delivered())
    assert (word.record.attempt, word.record.outcome, word.record.error_class) == (
        0,
        "failed",
        "too_large",
    )
    assert "give the campaign a 'results' that all hosts reach" in str(word.record.error_text)
    assert word.tables["instances"].column("outcome").to_pylist() == ["lost"] * 1000
    assert len(rig.spool.waiting()) == 1
    rig.client.delete(wire.stream_key(rig.campaign))

    rig.handle(rig.body(trial, results=str(tmp_path)))  # the next run's campaign names a place
    assert len(rig.measured) == 1
    (part,) = (tmp_path / rig.campaign / "parts").iterdir()
    assert read_part(part.read_bytes()).record.outcome == "completed"
    ((_, fields),) = rig.client.xrange(wire.stream_key(rig.campaign))
    assert set(fields) == {b"receipt"}


def test_a_part_for_a_place_that_is_away_waits_with_its_address(rig: Rig, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file where the folder should be")
    rig.handle(rig.body(results=str(place)))
    (waiting,) = rig.spool.waiting()
    assert rig.spool.place_of(waiting.name) == str(place)
    place.unlink()
    rig.handle(rig.body(results=str(place)))
    assert len(rig.measured) == 1
    assert (place / rig.campaign / "parts" / waiting.name).is_file()


def test_a_spool_that_is_full_does_not_stop_the_delivery(rig: Rig) -> None:
    rig.host.state_dir.mkdir(parents=True)
    (rig.host.state_dir / "spool").touch()  # a file where the folder should be
    rig.handle(rig.body())
    assert len(rig.delivered()) == 1


def test_simulated_hosts_keep_no_spool(rig: Rig) -> None:
    rig.config = rig.config.model_copy(update={"simulated": True})
    rig.handle(rig.body())
    assert len(rig.delivered()) == 1
    assert not (rig.host.state_dir / "spool").exists()


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(wire, "HEARTBEAT_TTL_S", 2)
    monkeypatch.setattr(workers.presence, "LATE_DELIVERY_S", 0.0)


@pytest.mark.usefixtures("quick_beats")
def test_a_broker_that_dies_gets_the_part_when_it_is_back(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_broker() as broker:
        rig = Rig(broker.url, host_settings)
        monkeypatch.setattr(workers.service, "run_trial", rig.measure)
        rig.meanwhile = lambda _: broker.kill()
        presence = Presence(rig.config)
        presence.begin({})
        try:
            rig.handle(rig.body())
            assert len(rig.spool.waiting()) == 1
            broker.start()
            wait_until(lambda: len(rig.delivered()) == 1, "the part is delivered late")
            wait_until(lambda: rig.spool.waiting() == [], "the part waits no longer")
            assert read_fleet(rig.client)[rig.host.name].alive
        finally:
            presence.end()


@pytest.mark.usefixtures("quick_beats")
def test_a_damaged_part_in_the_spool_is_set_aside(rig: Rig) -> None:
    rig.spool.put(make_part(rig.trial()))
    (path,) = rig.spool.waiting()
    path.write_bytes(b"damaged")
    good = make_part(rig.trial(block=1))
    rig.spool.put(good)
    presence = Presence(rig.config)
    presence.begin({})
    try:
        wait_until(lambda: rig.delivered() == [good.data], "the good part is delivered")
    finally:
        presence.end()
    assert path.with_suffix(".damaged").exists()


@pytest.mark.usefixtures("quick_beats")
def test_a_late_delivery_and_the_registration_are_signed_too(keyed: Rig) -> None:
    packed = make_part(keyed.trial())
    keyed.spool.put(packed)
    presence = Presence(keyed.config)
    presence.begin({})
    name = keyed.host.name
    keys = Keys(keyed.config.key or Path())
    try:
        wait_until(lambda: keyed.delivered() == [packed.data], "the part is delivered")
        entry = read_fleet(keyed.client, [name], keys)[name]
        assert (entry.signs, entry.unbelieved, entry.state) == (True, "", "idle")
        stranger = json.dumps(seal(HostKey(b"s" * 32), "registration", name, '{"contract": 1}'))
        keyed.client.set(wire.registration_key(name), stranger)
        entry = read_fleet(keyed.client, [name], keys)[name]
        assert entry.state == "unsigned"
        assert "the signature does not fit" in entry.unbelieved
    finally:
        presence.end()
    ((_, fields),) = keyed.client.xrange(wire.stream_key(keyed.campaign))
    assert unseal(keys.of(name), "record", name, json.loads(fields[b"receipt"]))


@pytest.mark.usefixtures("quick_beats")
def test_a_registered_host_tells_what_it_has(rig: Rig) -> None:
    presence = Presence(rig.config)
    presence.begin({"simulated": {"present": True}, "docker": {"present": False, "reason": "none here"}})
    try:
        entry = read_fleet(rig.client)[rig.host.name]
        assert (entry.alive, entry.state, entry.contract) == (True, "idle", CONTRACT_VERSION)
        assert entry.why_not("simulated") is None
        assert entry.why_not("docker") == f"host '{rig.host.name}' has no docker: none here"
        assert entry.why_not("libvirt") == f"host '{rig.host.name}' does not know driver 'libvirt'"
        assert abs(entry.beat["clock_offset_ns"]) < 10**9
    finally:
        presence.end()
    assert read_fleet(rig.client)[rig.host.name].state == "stale"


@pytest.mark.usefixtures("quick_beats")
def test_a_host_registers_again_on_a_broker_that_forgot_it(rig: Rig) -> None:
    presence = Presence(rig.config)
    presence.begin({})
    try:
        rig.client.hdel(wire.REGISTRY, rig.host.name)
        rig.client.delete(wire.heartbeat_key(rig.host.name))
        wait_until(
            lambda: getattr(read_fleet(rig.client).get(rig.host.name), "alive", False),
            "the host is back",
        )
    finally:
        presence.end()


@pytest.mark.usefixtures("quick_beats")
def test_a_name_that_is_taken_is_refused(rig: Rig) -> None:
    first = Presence(rig.config)
    first.begin({})
    try:
        with pytest.raises(HostBusy, match=f"another worker is host '{rig.host.name}'"):
            Presence(rig.config.model_copy(update={"boot": "other"})).begin({})
    finally:
        first.end()


@pytest.mark.usefixtures("quick_beats")
@pytest.mark.parametrize(
    "error", [FileNotFoundError("moved away"), BrokerError("away"), redis.ConnectionError("away")]
)
def test_the_heart_beats_on_whatever_a_delivery_meets(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    met: list[float] = []

    def fail(_: Spool) -> list[Any]:
        met.append(time.monotonic())
        raise error

    monkeypatch.setattr(Spool, "waiting", fail)
    presence = Presence(rig.config)
    presence.begin({})
    try:
        wait_until(lambda: len(met) > 2, "several beats")
    finally:
        presence.end()
