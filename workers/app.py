"""The Celery app of a worker and its single, thin task. Configured by environment, as children are."""

import os
from typing import Any

from celery import Celery  # noqa: TID251 - one of the few places
from celery.platforms import SecurityWarning  # noqa: TID251
from celery.signals import setup_logging, worker_shutdown  # noqa: TID251
from celery.worker import state  # noqa: TID251
from kombu.entity import Exchange, Queue

from contract import wire
from contract.broker_urls import read_broker
from contract.log_lines import set_up
from workers.events import count_into
from workers.one_message import OneMessageRequest, OneMessageStep
from workers.service import Service, WorkerConfig, load_config

CONFIG_VARIABLE = "TONNAGE_WORKER_CONFIG"


def host_queue(host: str) -> Queue:
    """The host's queue on an exchange of its own: a shared one is read whole at every publish."""
    name = wire.queue_for(host)
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def make_app(config: WorkerConfig) -> Celery:
    """The app for one worker: its own queues and no others."""
    made = Celery("tonnage", set_as_current=True)
    made.conf.update(wire.celery_settings(config.broker))
    made.conf.task_queues = [host_queue(host.name) for host in config.hosts]
    made.conf.task_default_queue = wire.queue_for(config.hosts[0].name)
    made.conf.worker_consumer = "workers.consumer:GuardedConsumer"
    if waits_its_turn(config):
        made.steps["consumer"].add(OneMessageStep)
    return made


def waits_its_turn(config: WorkerConfig) -> bool:
    """Whether messages are kept off while a trial runs: Redis is asked for them, RabbitMQ sends."""
    return read_broker(config.broker).by_rabbitmq and not config.simulated


config = load_config(os.environ.get(CONFIG_VARIABLE))
app = make_app(config)
_service: dict[int, Service] = {}
_exit_codes: list[int] = []
count_into(config.tally)


@setup_logging.connect  # type: ignore[untyped-decorator]  # else Celery would, in parent and child
def log_as_configured(**_: object) -> None:
    """Log as the operator said, in the measuring process too."""
    set_up(config.log)


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _remember_exit_code(sender: Any, **_: object) -> None:
    _exit_codes.append(sender.exitcode or 0)


def run_celery(arguments: list[str]) -> bool:
    """Be Celery's worker until told to stop. Returns whether it was told, or ended over an error.

    Celery's own ``worker_main`` keeps its exit code to itself.
    """
    app.worker_main(arguments)
    was_told = state.should_stop is not None  # by a signal; an interrupt's exit code is that of an error
    return was_told or not any(_exit_codes)


_turns = {"Request": OneMessageRequest, "acks_late": True} if waits_its_turn(config) else {}


@app.task(name=wire.TASK, ignore_result=True, max_retries=0, **_turns)  # type: ignore[untyped-decorator]
def enter(body: object) -> None:
    """Hand the message to the service of this process: connections are opened after the start."""
    pid = os.getpid()
    if pid not in _service:
        _service[pid] = Service(config)
    _service[pid].handle(body)


__all__ = ["SecurityWarning", "app", "enter", "make_app", "run_celery"]
