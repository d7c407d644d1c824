"""The Celery app of a worker and its single, thin task. Configured by environment, as children are."""

import os

from celery import Celery  # noqa: TID251 - one of the two places
from celery.platforms import SecurityWarning  # noqa: TID251
from celery.signals import setup_logging  # noqa: TID251
from kombu.entity import Exchange, Queue

from contract import wire
from contract.log_lines import set_up
from workers.events import count_into
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
    return made


config = load_config(os.environ.get(CONFIG_VARIABLE))
app = make_app(config)
_service: dict[int, Service] = {}
count_into(config.tally)


@setup_logging.connect  # type: ignore[untyped-decorator]  # else Celery would, in parent and child
def log_as_configured(**_: object) -> None:
    """Log as the operator said, in the measuring process too."""
    set_up(config.log)


@app.task(name=wire.TASK, ignore_result=True, max_retries=0)  # type: ignore[untyped-decorator]
def enter(body: object) -> None:
    """Hand the message to the service of this process: connections are opened after the start."""
    pid = os.getpid()
    if pid not in _service:
        _service[pid] = Service(config)
    _service[pid].handle(body)


__all__ = ["SecurityWarning", "app", "enter", "make_app"]
