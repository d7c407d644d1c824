"""A Celery worker with a task that does nothing, of the same pool as Tonnage's: what Celery itself uses.

BARE_WORKER_BROKER=redis://127.0.0.1:6379/1 python tests/bench/bare_worker.py
"""

import os

from celery import Celery

app = Celery("bare_worker", broker=os.environ.get("BARE_WORKER_BROKER", "memory://"))
app.conf.update(worker_pool_start_method="spawn", task_ignore_result=True, worker_prefetch_multiplier=1)


@app.task(name="bare.nothing")
def nothing() -> None:
    """As it says."""


if __name__ == "__main__":
    pool = ["--pool", "prefork", "--concurrency", "1"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
    app.worker_main(["--quiet", "worker", "--hostname", "bare@%h", *pool, *quiet])
