"""Names on the wire: the one task, queues, keys and the Celery settings, as plain data."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from contract import CONTRACT_VERSION
from contract.campaign import Frozen, Name, Place
from contract.errors import MessageError
from contract.trial import MAX_ATTEMPT, Trial, decode_trial

TASK = "tonnage.enter"
"""The only task there is. Its body says what is asked for."""

PREFIX = "tonnage:"
"""Every key in Redis begins with this, Celery's own included."""

HEARTBEAT_S = 2.0
HEARTBEAT_TTL_S = 10
LEASE_TTL_S = 15
"""Seconds after which a trial whose worker no longer renews its lease counts as lost."""

MAX_MESSAGE_PART_BYTES = 32 * 1024 * 1024
"""A larger part does not travel inside a completion record."""

BEGUN_TTL_S = 7 * 24 * 3600
"""How long it is remembered that an attempt was begun: longer than any trial."""

VISIBILITY_TIMEOUT_S = 7 * 24 * 3600
"""One value for everybody on the broker: the shortest one wins, and we acknowledge early."""

STREAM_TTL_S = 14 * 24 * 3600
"""Completion records that no coordinator has taken are dropped after this; spools keep them too."""

REGISTRY = f"{PREFIX}hosts"
"""Hash of host name to the JSON it registered with; kept after the host is gone."""


class Message(Frozen):
    """Body of the one task: run this trial, deliver its part to this stream."""

    contract: int = CONTRACT_VERSION
    operation: Literal["trial"] = "trial"
    run: str = Field(pattern=r"^[0-9a-f]{32}$", description="one execution of `tonnage run`")
    host: Name
    attempt: int = Field(ge=1, le=MAX_ATTEMPT)
    newer_than: int = Field(
        0, ge=0, le=MAX_ATTEMPT, description="a spooled part of a later attempt will do"
    )
    results: Place = Field("", max_length=1000, description="where the part goes; empty: the stream")
    issued_at_ns: int
    nonce: str = Field(min_length=16, max_length=64)
    trial: Trial


def decode_message(body: object, host: str) -> Message:
    """Check a message that reached ``host``. Raises MessageError in plain words."""
    if not isinstance(body, dict):
        raise MessageError(f"not a message: {body!r:.200}")
    decode_trial(body.get("trial"))
    try:
        message = Message.model_validate(body)
    except ValidationError as error:
        raise MessageError(f"not a message: {error}") from error
    if message.host != host or message.trial.host != host:
        raise MessageError(f"a message for host '{message.host}' reached host '{host}'")
    return message


def queue_for(host: str) -> str:
    """The queue that only this host's worker reads."""
    return f"host.{host}"


def heartbeat_key(host: str) -> str:
    """Exists while the host's worker lives; holds what it is doing, as JSON."""
    return f"{PREFIX}host:{host}"


def owner_key(host: str) -> str:
    """Lease on the host's name, so that two workers cannot both be this host."""
    return f"{PREFIX}owner:{host}"


def lease_key(trial_id: str) -> str:
    """Exists while a worker is at this trial."""
    return f"{PREFIX}lease:{trial_id}"


def begun_key(trial_id: str, attempt: int) -> str:
    """Exists once a worker has begun this attempt: what is lost after that may have killed it."""
    return f"{PREFIX}begun:{trial_id}:{attempt}"


def activity_key(host: str) -> str:
    """Exists while the host measures; holds trial, driver and since when, as JSON."""
    return f"{PREFIX}activity:{host}"


QUARANTINE_TTL_S = 24 * 3600
"""A host that kept failing is given another chance after this."""


def quarantine_key(host: str) -> str:
    """Exists while campaigns are to leave the host alone; holds why and since when, as JSON."""
    return f"{PREFIX}quarantine:{host}"


def stream_key(campaign: str) -> str:
    """Stream of completion records of one campaign."""
    return f"{PREFIX}parts:{campaign}"


def meeting_key(run: str, meeting_id: str, what: str) -> str:
    """What hosts that measure together leave for each other, in one execution of ``tonnage run``.

    ``beats``, ``roster`` and ``said:TOPIC`` are hashes by host, ``at:STAGE`` is the set of those that
    have arrived there, ``release:STAGE`` the broker's time to go on at, ns; ``over`` says why it ended.
    """
    return f"{PREFIX}meeting:{run}:{meeting_id}:{what}"


CANCEL_QUEUED = b"queued"
CANCEL_NOW = b"now"


def run_key(campaign: str) -> str:
    """Exists while a coordinator runs the campaign; holds the run's id and what it is at, as JSON."""
    return f"{PREFIX}run:{campaign}"


def cancel_key(run: str) -> str:
    """Exists when a run's queued messages are to be dropped; CANCEL_NOW ends running trials too."""
    return f"{PREFIX}cancel:{run}"


def celery_settings(broker: str) -> dict[str, Any]:
    """The tried settings for early acknowledgement, no redelivery and no chatter. No queues yet."""
    redis_only: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "global_keyprefix": PREFIX,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "priority_steps": [0],
    }
    return {
        "broker_url": broker,
        "broker_transport_options": redis_only if broker.startswith(("redis", "unix")) else {},
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": broker.startswith(("redis", "unix")),
        "worker_concurrency": 1,
        "worker_pool": "prefork",
        "worker_pool_start_method": "spawn",
        "worker_proc_alive_timeout": 60,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
    }
