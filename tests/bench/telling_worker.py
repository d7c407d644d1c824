"""A bare Celery worker with one task, which says when it began.

python tests/bench/telling_worker.py BROKER QUEUE
"""

import sys
import time

import redis
from celery import Celery
from kombu import Queue

BEGAN = "bench:began"
TASK = "bench.begin"

broker, queue = sys.argv[1:3]
app = Celery("bare", broker=broker)
app.conf.task_queues = [Queue(queue, routing_key=queue)]
app.conf.task_default_queue = queue
app.conf.worker_hijack_root_logger = False


@app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def begin() -> None:
    """Say when."""
    redis.Redis.from_url(broker).set(BEGAN, time.time_ns())


if __name__ == "__main__":
    options = ["--pool", "prefork", "--concurrency", "1", "--loglevel", "ERROR"]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])
