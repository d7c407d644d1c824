"""Dispatch of null trials to host queues, against a bare loop of Celery on the same worker and broker.

Three ways share one worker process that consumes one queue per simulated host. ``bare`` is a loop of
``send_task`` of a task that does nothing. ``dispatched`` is our coordinator with a worker that answers
each order with a ready-made part: journal, windows, completion records and stored parts, but no trial.
``measured`` is the whole, each trial run on the simulated driver; its limit is a bare loop of a task
that runs the same trials, for a trial costs its worker milliseconds whoever sends it.
"""

import random
from collections.abc import Iterator
from statistics import median

import engines
from figure import Figure, Size
from interleaved import SEED
from null_fleet import NullFleet, Ran, null_fleet

NEEDS: tuple[str, ...] = ("redis",)

HOSTS = {Size.SMOKE: 20, Size.FULL: 1000, Size.HUGE: 1000}
FEW, MANY = 1, 10
"""Trials per host. The huge size dispatches ten times as many at its end; ``fleet`` measures so many."""
SAME_COST = 1.25
"""Budget: cost of a trial in a large campaign, in those of one in a small campaign."""
HALF_THE_RATE = 2.0
"""Budget, of the larger campaigns: of a small one, its beginning and end are much."""
ROUNDS = {Size.SMOKE: 1, Size.FULL: 2, Size.HUGE: 2}


def measure(size: Size) -> Iterator[Figure]:
    """Rates, who spends the time, and memory."""
    hosts = HOSTS[size]
    with engines.redis() as broker:
        with null_fleet(broker, hosts, "answer") as fleet:
            found = _in_turn(fleet, ROUNDS[size])
            yield from _rates(hosts, found)
            if size is Size.HUGE:
                found["dispatched", 100] = [fleet.ours(100)]
            yield from _growth(hosts, found, "dispatched")
            yield from _memory(hosts, found)
        with null_fleet(broker, hosts, "measure") as fleet:
            whole = {("measured", FEW): [fleet.ours(FEW)], ("measured", MANY): [fleet.ours(MANY)]}
            yield from _whole(hosts, whole["measured", MANY][0], fleet.bare_trials(MANY))
            yield from _growth(hosts, whole, "measured")


Runs = dict[tuple[str, int], list[Ran]]


def _in_turn(fleet: NullFleet, rounds: int) -> Runs:
    """All ways and both sizes once per round, in random order."""
    order, found = random.Random(SEED), Runs()
    for _ in range(rounds):
        ways = [(way, each) for way in ("bare", "dispatched") for each in (FEW, MANY)]
        for way, each in order.sample(ways, len(ways)):
            ran = fleet.bare(each * fleet.hosts) if way == "bare" else fleet.ours(each)
            found.setdefault((way, each), []).append(ran)
    return found


def _rates(hosts: int, found: Runs) -> Iterator[Figure]:
    for each in (FEW, MANY):
        ours, bare = (found[way, each] for way in ("dispatched", "bare"))
        case = f"{each * hosts:,} null trials to {hosts:,} queues"
        yield Figure(
            f"{case}, dispatched",
            median(ran.trials / ran.wall_s for ran in ours),
            "trials/s",
            median(ran.trials / ran.wall_s for ran in bare),
            "bare loop of send_task, a task that does nothing",
            budget=HALF_THE_RATE if each == MANY else None,
            higher_is_better=True,
            note="bounded by the one worker process: Celery names all its queues in every BRPOP",
        )
        for who in ("sender", "worker", "broker"):
            yield Figure(
                f"{case}: CPU of the {'coordinator' if who == 'sender' else who}",
                median(ran.ms(getattr(ran, f"{who}_cpu_s")) for ran in ours),
                "ms/trial",
                median(ran.ms(getattr(ran, f"{who}_cpu_s")) for ran in bare),
                "the same in the bare loop",
            )


def _whole(hosts: int, ran: Ran, bare: Ran) -> Iterator[Figure]:
    yield Figure(
        f"{ran.trials:,} null trials on {hosts:,} simulated hosts, measured",
        ran.trials / ran.wall_s,
        "trials/s",
        bare.trials / bare.wall_s,
        "bare loop of send_task, a task that measures the same trial",
        budget=HALF_THE_RATE,
        higher_is_better=True,
        note=f"the worker's CPU is {ran.ms(ran.worker_cpu_s):.2f} ms per trial, in the bare loop "
        f"{bare.ms(bare.worker_cpu_s):.2f} ms; the coordinator's is {ran.ms(ran.sender_cpu_s):.2f} ms",
    )


def _growth(hosts: int, found: Runs, way: str) -> Iterator[Figure]:
    """Cost of a trial in large campaigns, against one trial per host."""
    few = median(ran.ms(ran.wall_s) for ran in found[way, FEW])
    for (name, each), runs in found.items():
        if name == way and each > FEW:
            yield Figure(
                f"cost of a trial, {way}, {each * hosts:,} trials",
                median(ran.ms(ran.wall_s) for ran in runs),
                "ms",
                few,
                f"{FEW * hosts:,} trials, one per queue",
                budget=SAME_COST,
            )


def _memory(hosts: int, found: Runs) -> Iterator[Figure]:
    sizes = sorted(each for way, each in found if way == "dispatched")
    peaks = {each: median(ran.peak_bytes for ran in found["dispatched", each]) for each in sizes}
    for each, peak in peaks.items():
        name = f"coordinator's peak memory, {each * hosts:,} trials on {hosts:,} hosts"
        yield Figure(name, peak / 2**20, "MiB")
    most = sizes[-1]
    grown = (peaks[most] - peaks[FEW]) / ((most - FEW) * hosts)
    yield Figure("coordinator's memory per further trial", grown, "bytes")
    prepared = median(ran.ms(ran.prepare_s) for ran in found["dispatched", most])
    yield Figure(f"planning and writing the plan, {most * hosts:,} trials", prepared, "ms/trial")
