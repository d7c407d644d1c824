"""Names on the wire: the one task, queues, keys and the Celery settings, as plain data."""

from typing import Any

from contract.broker_tls import tls_options
from contract.broker_urls import Endpoint, client_url, read_broker

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

STREAM_TTL_S = 14 * 24 * 3600
"""Completion records that no coordinator has taken are dropped after this; spools keep them too."""

REFUSED = f"{PREFIX}refused"
"""Stream of messages that were refused (``contract.refusals``)."""

REGISTRY = f"{PREFIX}hosts"
"""Hash with the name of every registered host; kept after it is gone. What it holds is nobody's word."""

REGISTERED = '{"contract": 0}'
"""Its values: releases that looked here for what a host says of itself see one of another version."""


def queue_for(host: str) -> str:
    """The queue that only this host's worker reads."""
    return f"host.{host}"


def heartbeat_key(host: str) -> str:
    """Exists while the host's worker lives; holds what it is doing, as JSON."""
    return f"{PREFIX}host:{host}"


def registration_key(host: str) -> str:
    """What the host registered with, as JSON: a key of its own, which no other host's user can write."""
    return f"{PREFIX}registration:{host}"


def owner_key(host: str) -> str:
    """Lease on the host's name, so that two workers cannot both be this host."""
    return f"{PREFIX}owner:{host}"


def lease_key(host: str, trial_id: str) -> str:
    """Exists while the host's worker is at this trial."""
    return f"{PREFIX}lease:{host}:{trial_id}"


def begun_key(host: str, trial_id: str, attempt: int) -> str:
    """Exists once the host has begun this attempt: if it is lost now, it may have killed its worker."""
    return f"{PREFIX}begun:{host}:{trial_id}:{attempt}"


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


_BY_REDIS: dict[str, Any] = {
    # A message that a worker took and did not begin is lost, as with every other way to lose it;
    # else the hash it is kept in is one that all hosts must read and write.
    "ack_emulation": False,
    "global_keyprefix": PREFIX,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "priority_steps": [0],
}


def celery_settings(broker: str) -> dict[str, Any]:
    """The tried settings for early acknowledgement, no redelivery and no chatter. No queues yet.

    Raises BrokerError for what is no broker, or a certificate's file that cannot be used.
    """
    wanted = read_broker(broker)
    orders = wanted.orders
    return {
        "broker_url": client_url(orders),
        "broker_use_ssl": _tls_settings(orders),
        "broker_transport_options": {"confirm_publish": True} if wanted.by_rabbitmq else _BY_REDIS,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": not wanted.by_rabbitmq,
        "worker_concurrency": 1,
        "worker_pool": "prefork",
        "worker_pool_start_method": "spawn",
        "worker_proc_alive_timeout": 60,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,  # else whoever reaches the broker can end every worker
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
    }


def _tls_settings(orders: Endpoint) -> dict[str, Any] | bool:
    """TLS as the library that carries orders takes it. Left to a URL, it would verify nothing."""
    if not orders.is_encrypted:
        return False
    options = tls_options(orders)
    if orders.scheme == "rediss":
        return options | {"ssl_check_hostname": True}
    names = {name.removeprefix("ssl_"): value for name, value in options.items()}
    return names | {"server_hostname": orders.host}
