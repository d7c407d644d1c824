"""What a worker does with a message: check, look into the spool, take the lease, measure, deliver."""

import hashlib
import logging
import time

import redis

from contract import wire
from contract.broker import clock_offset, connect
from contract.campaign import Frozen
from contract.errors import BrokerError, MessageError, PartError, ResultsError, TrialCancelled
from contract.parts import PackedPart, read_part
from contract.trial import Receipt
from workers.lease import TrialLease
from workers.run import Assignment, run_trial
from workers.settings import HostSettings
from workers.spool import Spool

log = logging.getLogger("tonnage.worker")


class WorkerConfig(Frozen):
    """One worker process: its broker, the host (or simulated hosts) that it stands for."""

    broker: str = "redis://127.0.0.1:6379/0"
    hosts: tuple[HostSettings, ...] = (HostSettings(name="unnamed"),)
    boot: str = "unset"
    simulated: bool = False


def load_config(text: str | None) -> WorkerConfig:
    """The worker's configuration from its environment variable."""
    return WorkerConfig.model_validate_json(text) if text else WorkerConfig()


class Service:
    """Handles messages, one at a time, in the worker's child process."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._hosts = {host.name: host for host in config.hosts}
        self._client = connect(config.broker)

    def handle(self, body: object) -> None:
        """Measure or deliver what the message asks for. A message that is not for us is logged."""
        name = str(body.get("host")) if isinstance(body, dict) else ""
        host = self._hosts.get(name)
        try:
            if host is None:
                raise MessageError(f"a message for host '{name}' reached {', '.join(self._hosts)}")
            message = wire.decode_message(body, host.name)
        except MessageError as error:
            log.error("message refused: %s", error)
            return
        if self._is_cancelled(message.run):
            log.info("trial %s: dropped, its run was cancelled", message.trial.trial_id)
            return
        spool = None if self._config.simulated else Spool(host.state_dir / "spool")
        if spool is None or not self._deliver_from(spool, message):
            self._measure(message, host, spool)

    def _deliver_from(self, spool: Spool, message: wire.Message) -> bool:
        """Deliver a part that is there already. Measuring it again would be a second truth."""
        try:
            found = spool.find(message.trial.trial_id, message.newer_than)
        except PartError as error:
            log.warning("spool: %s; the trial is measured again", error)
            return False
        if found is None:
            return False
        data, part = found
        self._deliver(receipt_of(data, part.record.attempt), data, message.trial.campaign)
        return True

    def _measure(self, message: wire.Message, host: HostSettings, spool: Spool | None) -> None:
        trial = message.trial
        with TrialLease(self._client, message) as lease:
            if not lease.taken:
                log.warning("trial %s: another worker is at it, dropped", trial.trial_id)
                return
            assignment = Assignment(
                trial=trial,
                attempt=message.attempt,
                host=host,
                boot=self._config.boot,
                cancelled=lease.cancelled,
                clock_offset=self._clock_offset,
            )
            try:
                packed = run_trial(assignment)
            except TrialCancelled:
                log.info("trial %s: cancelled, nothing of it is kept", trial.trial_id)
                return
            self._keep_and_deliver(packed, trial.campaign, spool)

    def _keep_and_deliver(self, packed: PackedPart, campaign: str, spool: Spool | None) -> None:
        """Spool first, so that what was measured outlives the broker; then deliver."""
        kept = False
        if spool is not None:
            try:
                spool.put(packed)
                kept = True
            except ResultsError as error:
                log.error("spool: %s; the part is delivered without it", error)
        try:
            self._deliver(packed.receipt, packed.data, campaign)
        except BrokerError as error:
            log.error("%s; the part waits in the spool", error)
            return
        if kept and spool is not None:
            spool.mark_delivered(packed.name)

    def _deliver(self, receipt: Receipt, data: bytes, campaign: str) -> None:
        deliver(self._client, receipt, data, campaign)

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


def receipt_of(data: bytes, attempt: int) -> Receipt:
    """The receipt of a part that is at hand as bytes."""
    record = read_part(data).record
    return Receipt(
        trial_id=record.trial.trial_id,
        attempt=attempt,
        host=record.trial.host,
        outcome=record.outcome,
        verdict=record.verdict,
        reasons=record.reasons,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def deliver(client: "redis.Redis[bytes]", receipt: Receipt, data: bytes, campaign: str) -> None:
    """Append the completion record, with the part inside, to the campaign's stream."""
    if len(data) > wire.MAX_MESSAGE_PART_BYTES:
        raise BrokerError(
            f"a part of {len(data)} bytes is too large for a completion record "
            f"({wire.MAX_MESSAGE_PART_BYTES} at most); measure fewer instances per trial"
        )
    stream = wire.stream_key(campaign)
    try:
        pipe = client.pipeline(transaction=False)
        pipe.xadd(stream, {"receipt": receipt.model_dump_json(), "part": data})
        pipe.expire(stream, wire.STREAM_TTL_S)
        pipe.execute()
    except redis.RedisError as error:
        raise BrokerError(f"a part could not be delivered: {error}") from error
