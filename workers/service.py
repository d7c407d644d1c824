"""What a worker does with a message: check, look into the spool, take the lease, measure, deliver."""

import logging
import time
from dataclasses import asdict
from pathlib import Path

import redis

from contract import wire
from contract.broker import clock_offset, connect
from contract.broker_clock import BrokerClock
from contract.campaign import Frozen
from contract.errors import (
    BrokerError,
    KeyFileError,
    MessageError,
    PartError,
    PartTooLarge,
    ResultsError,
    TrialCancelled,
)
from contract.log_lines import LogSettings, measuring
from contract.message import Message, decode_message
from contract.parts import PackedPart
from contract.refusals import plain_text, record_refusal, refusal_of
from contract.signing import MAX_MESSAGE_AGE_S, HostKey, fingerprint, host_key
from contract.sweeping import (
    ANSWER_TTL_S,
    FoundLeftover,
    SweepAnswer,
    SweepOrder,
    answer_key,
    decode_order,
)
from workers.delivery import Courier, receipt_of, stand_in
from workers.events import tell
from workers.gate import Gate
from workers.lease import TrialLease
from workers.policy import see_that_it_may_go_there
from workers.rendezvous import Venue
from workers.run import Assignment, run_trial
from workers.settings import HostSettings
from workers.spool import Spool
from workers.sweeping import sweep_host
from workers.telling import told, what_is_measured

log = logging.getLogger("tonnage.worker")


class WorkerConfig(Frozen):
    """One worker process: its broker, the host (or simulated hosts) that it stands for."""

    broker: str = "redis://127.0.0.1:6379/0"
    hosts: tuple[HostSettings, ...] = (HostSettings(name="unnamed"),)
    boot: str = "unset"
    simulated: bool = False
    key: Path | None = None
    """The host's key, or a folder of keys; None believes everybody who can write to the broker."""
    max_message_age_s: float = MAX_MESSAGE_AGE_S
    log: LogSettings = LogSettings()
    tally: Path | None = None
    """Where events are counted for the metrics; None: nowhere."""

    def keys(self) -> dict[str, HostKey]:
        """Keys by host; none without ``key``. Raises KeyFileError for one that is missing."""
        if self.key is None:
            return {}
        if len(self.hosts) > 1 and not self.key.is_dir():
            raise KeyFileError(f"{self.key}: several hosts need a folder with a NAME.key for each")
        return {host.name: host_key(self.key, host.name) for host in self.hosts}


def load_config(text: str | None) -> WorkerConfig:
    """The worker's configuration from its environment variable."""
    return WorkerConfig.model_validate_json(text) if text else WorkerConfig()


class Service:
    """Handles messages, one at a time, in the worker's child process."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._hosts = {host.name: host for host in config.hosts}
        self._client = connect(config.broker)
        self._keys = config.keys()
        clock = BrokerClock(self._client)
        self._gate = Gate(self._keys, clock.now_ns, config.max_message_age_s)
        self._courier = Courier(self._client, self._keys)

    def handle(self, body: object) -> None:
        """Do what the message asks for. One that is not to be believed is logged, and put on record."""
        name = str(body.get("host")) if isinstance(body, dict) else ""
        try:
            order = self._believed(body, name)
        except MessageError as error:
            self._refuse(error, name, body)
            return
        host = self._hosts[order.host]
        if isinstance(order, SweepOrder):
            self._sweep(order, host)
        else:
            self._handle_trial(order, host)

    def _believed(self, body: object, name: str) -> Message | SweepOrder:
        """The order that is in a message. Raises MessageError."""
        if name not in self._hosts:
            raise MessageError(
                f"a message for host '{name:.80}' reached {', '.join(self._hosts):.200}", cause="foreign"
            )
        content = self._gate.open(body, name)
        decode = decode_order if _asks_for_sweep(content) else decode_message
        order = decode(content, name)
        self._gate.let_in(name, order.issued_at_ns, order.nonce)
        if isinstance(order, Message):
            see_that_it_may_go_there(self._hosts[name].policy, order.results)
        return order

    def _refuse(self, error: MessageError, name: str, body: object) -> None:
        host = name if name in self._hosts else self._config.hosts[0].name
        what = f"message refused ({error.cause}): {plain_text(str(error))}"
        tell("message_refused", what, level=logging.WARNING, cause=error.cause)
        refusal = refusal_of(error, host, body, fingerprint(body))
        record_refusal(self._client, refusal, self._keys.get(host))

    def _handle_trial(self, message: Message, host: HostSettings) -> None:
        if self._is_cancelled(message.run):
            dropped = f"trial {message.trial.trial_id}: dropped, its run was cancelled"
            tell("order_dropped", dropped, reason="cancelled")
            return
        spool = None if self._config.simulated else Spool(host.state_dir / "spool")
        if spool is None or not self._deliver_from(spool, message):
            self._measure(message, host, spool)

    def _sweep(self, order: SweepOrder, host: HostSettings) -> None:
        """Between two trials, so that nothing of ours is in use. The answer goes to who asked."""
        notes: list[str] = []
        found, failed = sweep_host(host, host.name, dry_run=order.dry_run, note=notes.append)
        if found and not order.dry_run:
            tell("leftovers_swept", f"swept {len(found)} leftovers", when="asked", count=len(found))
        answer = SweepAnswer(
            host=host.name,
            answer_to=order.answer_to,
            found=tuple(FoundLeftover(**asdict(leftover)) for leftover in found),
            failed=tuple(failed),
            notes=tuple(notes),
        )
        try:
            pipe = self._client.pipeline(transaction=False)
            pipe.rpush(answer_key(order.answer_to), self._courier.signed("answer", host.name, answer))
            pipe.expire(answer_key(order.answer_to), ANSWER_TTL_S)
            pipe.execute()
        except redis.RedisError as error:
            log.warning("sweep: nobody hears of it: %s", error)

    def _deliver_from(self, spool: Spool, message: Message) -> bool:
        """Deliver a part that is there already. Measuring it again would be a second truth."""
        try:
            found = spool.find(message.trial.trial_id, message.newer_than)
        except PartError as error:
            log.warning("spool: %s; the trial is measured again", error)
            return False
        if found is None:
            return False
        data, part = found
        self._try_to_deliver(PackedPart(data, receipt_of(data, part.record.attempt)), message)
        return True

    def _measure(self, message: Message, host: HostSettings, spool: Spool | None) -> None:
        trial = message.trial
        with (
            measuring(run=message.run, **what_is_measured(trial, message.attempt)),
            TrialLease(self._client, message) as lease,
        ):
            if not lease.taken:
                dropped = f"trial {trial.trial_id}: another worker is at it, dropped"
                tell("order_dropped", dropped, level=logging.WARNING, reason="elsewhere")
                return
            assignment = Assignment(
                trial=trial,
                attempt=message.attempt,
                host=host,
                boot=self._config.boot,
                cancelled=lease.cancelled,
                clock_offset=self._clock_offset,
                venue=Venue(self._client, message.run, trial.meeting_id),
            )
            try:
                packed = told(run_trial, assignment)
            except TrialCancelled:
                return
            self._keep_and_deliver(packed, message, spool)

    def _keep_and_deliver(self, packed: PackedPart, message: Message, spool: Spool | None) -> None:
        """Spool first, so that what was measured outlives the broker; then deliver."""
        kept = False
        if spool is not None:
            try:
                spool.put(packed, message.results)
                kept = True
            except ResultsError as error:
                log.error("spool: %s; the part is delivered without it", error)
        if self._try_to_deliver(packed, message) and kept and spool is not None:
            spool.mark_delivered(packed.name)

    def _try_to_deliver(self, packed: PackedPart, message: Message) -> bool:
        """Deliver a part, or word of why it cannot be. Returns whether its campaign has it now."""
        campaign = message.trial.campaign
        try:
            self._courier.deliver(packed.receipt, packed.data, campaign, message.results)
        except PartTooLarge as error:
            log.error("trial %s: %s", message.trial.trial_id, error)
            word = stand_in(packed, error)
            self._courier.deliver(word.receipt, word.data, campaign)
            return False
        except (BrokerError, ResultsError) as error:
            tell("part_waiting", f"{error}; the part waits in the spool", level=logging.ERROR)
            return False
        what = f"trial {message.trial.trial_id}: its part is delivered"
        tell("part_delivered", what, when="at_once", size_bytes=len(packed.data))
        return True

    def _is_cancelled(self, run: str) -> bool:
        """Whether the run's queued messages are to be dropped; a broker that is away has not said so."""
        try:
            return bool(self._client.exists(wire.cancel_key(run)))
        except redis.RedisError:
            return False

    def _clock_offset(self) -> tuple[int, int] | None:
        try:
            return clock_offset(self._client, time.time_ns)
        except redis.RedisError:
            return None


def _asks_for_sweep(content: object) -> bool:
    return isinstance(content, dict) and content.get("operation") == "sweep"
