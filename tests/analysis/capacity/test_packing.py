import heapq
import itertools
import math
import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.capacity import columns as columns_module
from analysis.capacity.cover import Effort
from analysis.capacity.packing import pack
from analysis.capacity.packing_task import Cap, HostKind, Need, PackingTask, Shape
from contract.errors import UseError

GIB = 1 << 30


def drawn_task(seed, count=5, shapes=2, **named):
    """A small task at random, of two kinds of hosts with prices in tenths."""
    rng = random.Random(seed)
    kinds = (
        HostKind("small", {"mem": 16.0, "cpu": 8.0}, 1.0, noise={"mem": rng.choice([0.0, 0.5])}),
        HostKind("big", {"mem": 40.0, "cpu": 24.0}, rng.randint(18, 32) / 10),
    )
    asked = tuple(Shape(f"s{i}", rng.randint(0, count)) for i in range(shapes))
    needs, caps = {}, {}
    for shape, kind in itertools.product(asked, kinds):
        needs[shape.name, kind.name] = {
            "mem": Need(m := rng.uniform(1, 9), m * rng.choice([0, 0.2]), rng.random()),
            "cpu": Need(rng.uniform(0.3, 4), 0.1, rng.random()),
        }
        if rng.random() < 0.2:
            caps[shape.name, kind.name] = Cap(rng.randint(0, 3), "objective")
    needs.setdefault(("s0", "big"), {})
    return PackingTask(asked, kinds, needs, caps, rng.choice([0.0, 2.33]), **named)


def fits(task, kind, counts):
    """Whether a host holds these instances, by the covariances of single instances."""
    lying = [i for i, n in enumerate(counts) for _ in range(n)]
    for i, n in enumerate(counts):
        cap = task.caps.get((task.shapes[i].name, kind.name))
        if n and ((task.shapes[i].name, kind.name) not in task.needs or (cap and n > cap.most)):
            return False
    for resource, room in kind.room.items():
        of = [task.needs[task.shapes[i].name, kind.name].get(resource, Need(0.0)) for i in lying]
        shared = np.array([one.sd * math.sqrt(one.correlation) for one in of])
        between = shared.sum() ** 2 - (shared**2).sum()  # all pairs of two different instances
        own = sum(one.sd**2 for one in of) + kind.noise.get(resource, 0.0) ** 2
        spread = math.sqrt(max(0.0, own + between))
        if lying and sum(one.mean for one in of) + task.risk_z * spread > room * (1 + 1e-7):
            return False
    return True


def all_patterns(task):
    """Every non-empty pattern of every kind that fits, with the cost of its host."""
    return [
        (task.cost_of(kind), counts)
        for kind in task.kinds
        for counts in itertools.product(*(range(shape.count + 1) for shape in task.shapes))
        if any(counts) and fits(task, kind, counts)
    ]


def cheapest(task):
    """Least cost by exhaustive search, without domains; infinite where it cannot be."""
    patterns = all_patterns(task)

    @cache
    def rest(left):
        if not any(left):
            return 0.0
        first = next(i for i, n in enumerate(left) if n)
        return min(
            (
                cost + rest(tuple(max(0, a - b) for a, b in zip(left, held, strict=True)))
                for cost, held in patterns
                if held[first]
            ),
            default=math.inf,
        )

    return rest(tuple(shape.count for shape in task.shapes))


def cheapest_in_domains(task):
    """Least cost by Dijkstra over what every domain holds, so that any loss is survived."""
    wanted = tuple(shape.count for shape in task.shapes)
    patterns = all_patterns(task)
    start = ((0,) * len(wanted),) * task.domains
    queue, seen = [(0.0, start)], set()
    while queue:
        cost, state = heapq.heappop(queue)
        if state in seen:
            continue
        seen.add(state)
        kept = itertools.combinations(state, task.domains - task.lost)
        if all(
            all(sum(col) >= n for col, n in zip(zip(*some, strict=True), wanted, strict=True))
            for some in kept
        ):
            return cost
        for (price, held), place in itertools.product(patterns, range(task.domains)):
            now = tuple(min(n, a + b) for n, a, b in zip(wanted, state[place], held, strict=True))
            after = tuple(sorted((*state[:place], now, *state[place + 1 :])))
            if after not in seen:
                heapq.heappush(queue, (round(cost + price, 6), after))
    return math.inf


def holds(task, plan):
    """Asserts what every plan promises, looked at host by host."""
    kinds = {kind.name: kind for kind in task.kinds}
    names = [shape.name for shape in task.shapes]
    for stack in plan.stacks:
        for counts in (stack.holds, stack.reserved):
            assert fits(task, kinds[stack.kind], tuple(counts.get(name, 0) for name in names))
        assert 1 <= stack.domain <= task.domains
    for shape in task.shapes:
        placed = sum(one.hosts * one.holds.get(shape.name, 0) for one in plan.stacks)
        assert placed + plan.unplaced.get(shape.name, 0) == shape.count
        for gone in itertools.combinations(range(1, task.domains + 1), task.lost):
            left = [one for one in plan.stacks if one.domain not in gone]
            room = sum(one.hosts * one.reserved.get(shape.name, 0) for one in left)
            assert room + plan.unplaced.get(shape.name, 0) >= shape.count
    for kind in task.kinds:
        assert kind.available is None or plan.hosts.get(kind.name, 0) <= kind.available
    assert plan.bound <= plan.cost + 1e-9


@pytest.mark.parametrize("seed", range(30))
def test_small_tasks_are_packed_as_cheaply_as_can_be(seed):
    task = drawn_task(seed, shapes=2 + seed % 2)
    truth, plan = cheapest(task), pack(task)
    holds(task, plan)
    assert plan.feasible == math.isfinite(truth)
    if plan.feasible:
        assert plan.cost == pytest.approx(truth)
        assert plan.bound == pytest.approx(truth)


@pytest.mark.parametrize("seed", range(12))
def test_small_tasks_survive_losses_as_cheaply_as_can_be(seed):
    task = drawn_task(seed, count=3, domains=3 + seed % 2, lost=1 + (seed % 4 == 3))
    truth, plan = cheapest_in_domains(task), pack(task)
    holds(task, plan)
    assert plan.feasible == math.isfinite(truth)
    if plan.feasible:
        assert plan.cost == pytest.approx(truth)
        assert plan.bound == pytest.approx(truth)


@pytest.mark.parametrize("seed", range(8))
def test_generated_patterns_come_near_to_all_of_them(seed, monkeypatch):
    task = drawn_task(100 + seed, count=40, shapes=3)
    best = pack(task, Effort(3, 0.002))
    monkeypatch.setattr(columns_module, "MANY", 0)
    found = pack(task, Effort(3, 0.002))
    holds(task, found)
    assert best.all_patterns
    assert not found.all_patterns
    assert found.feasible == best.feasible
    if best.feasible:
        assert found.bound <= best.cost + 1e-9
        assert best.bound <= found.cost + 1e-9
        assert found.cost <= best.cost * 1.05


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 2), st.one_of(st.none(), st.integers(0, 6))
)
def test_a_plan_keeps_every_promise(seed, domains, lost, available):
    task = drawn_task(seed, count=12, domains=domains, lost=min(lost, domains - 1))
    kinds = tuple(HostKind(k.name, k.room, k.price, available, k.noise) for k in task.kinds)
    task = PackingTask(task.shapes, kinds, task.needs, task.caps, task.risk_z, domains, task.lost)
    plan = pack(task, Effort(1, 0.02))
    holds(task, plan)
    assert plan.feasible == (not plan.unplaced)
    for way in plan.remedies:
        assert all(more > 0 for more in way.more.values())


def alone(count, room, each, **named):
    return PackingTask(
        (Shape("vm", count),),
        (HostKind("host", {"mem": room}),),
        {("vm", "host"): {"mem": Need(each)}},
        **named,
    )


@pytest.mark.parametrize(
    ("each_mb", "per_host", "named", "hosts"),
    [
        (114, 2000, {}, 1),
        (114, 2000, {"domains": 3, "lost": 1}, 2),
        (27, 8600, {}, 1),
        (5, 46_000, {}, 1),
    ],
)
def test_the_published_slopes_fill_a_host_of_256_gib(each_mb, per_host, named, hosts):
    """LightVM (SOSP 2017), figure 14, with 10 % headroom and 4 GiB of base."""
    room = 256 * GIB * 0.9 - 4 * GIB
    plan = pack(alone(per_host, room, each_mb * 1e6, **named))
    assert (plan.cost, plan.bound, plan.hosts) == (hosts, hosts, {"host": hosts})


def test_many_small_instances_on_several_kinds_of_hosts():
    shapes = (Shape("docker", 100_000), Shape("tinyx", 20_000), Shape("debian", 3000))
    mb = {"docker": 5e6, "tinyx": 27e6, "debian": 114e6}
    kinds = tuple(HostKind(f"{n} GiB", {"mem": n * GIB * 0.9 - 4 * GIB}, n / 64) for n in (64, 256))
    needs = {(s.name, k.name): {"mem": Need(mb[s.name])} for s in shapes for k in kinds}
    task = PackingTask(shapes, kinds, needs)
    plan = pack(task, Effort(3))
    holds(task, plan)
    assert plan.feasible
    assert not plan.all_patterns
    assert plan.gap < 0.05


def test_sharing_hosts_beats_hosts_for_every_shape():
    kinds = (HostKind("host", {"mem": 10.0, "cpu": 10.0}),)
    needs = {
        ("a", "host"): {"mem": Need(4.0), "cpu": Need(1.0)},
        ("b", "host"): {"mem": Need(1.0), "cpu": Need(4.0)},
    }
    plan = pack(PackingTask((Shape("a", 4), Shape("b", 4)), kinds, needs))
    assert plan.cost == 2
    assert all(stack.holds == {"a": 2, "b": 2} for stack in plan.stacks)
    assert {stack.bound_by for stack in plan.stacks} == {"cpu", "mem"} & {plan.stacks[0].bound_by}


def test_what_binds_is_said_of_every_pattern():
    needs = {("a", "host"): {"mem": Need(4.0)}}
    kinds = (HostKind("host", {"mem": 100.0}),)
    by = {}
    for most in (3, 40):
        plan = pack(
            PackingTask((Shape("a", 50),), kinds, needs, {("a", "host"): Cap(most, "objective")})
        )
        by[most] = {(stack.holds["a"], stack.bound_by) for stack in plan.stacks}
    assert by[3] == {(3, "objective"), (2, "demand")}
    assert by[40] == {(25, "mem")}


def test_domains_of_given_sizes_and_equal_ones():
    free = pack(alone(9, 3.0, 1.0, domains=3, lost=1))
    assert free.cost == 5
    whole = pack(alone(9, 3.0, 1.0, domains=3, lost=1, whole=True))
    assert whole.cost == 6
    sized = alone(9, 3.0, 1.0, domains=3, lost=1, sizes=(9, 9, 0))
    plan = pack(sized)
    holds(sized, plan)
    assert plan.feasible
    assert plan.cost == 6
    none = pack(alone(9, 3.0, 1.0, domains=3, lost=1, sizes=(9, 1, 1)))
    assert not none.feasible
    assert none.proven
    assert none.unplaced == {"vm": 3}


def test_a_shape_that_fits_nowhere_is_named_with_what_it_lacks():
    needs = {("a", "host"): {"mem": Need(12.0)}, ("b", "host"): {"mem": Need(1.0)}}
    kinds = (HostKind("host", {"mem": 10.0}), HostKind("other", {"mem": 100.0}))
    plan = pack(PackingTask((Shape("a", 4), Shape("b", 4)), kinds, needs))
    assert not plan.feasible
    assert plan.proven
    assert plan.unplaced == {"a": 4}
    assert [(one.kind, one.what, one.asked, one.room) for one in plan.hindrances] == [
        ("host", "mem", 12.0, 10.0),
        ("other", "not measured", None, None),
    ]
    assert plan.remedies == ()


def test_too_few_hosts_are_missed_by_number():
    kinds = (HostKind("a", {"mem": 10.0}, 1.0, 2), HostKind("b", {"mem": 20.0}, 3.0, 1))
    needs = {("vm", kind.name): {"mem": Need(5.0)} for kind in kinds}
    plan = pack(PackingTask((Shape("vm", 15),), kinds, needs))
    assert not plan.feasible
    assert plan.proven
    assert plan.unplaced == {"vm": 7}
    assert [(way.more, way.cost) for way in plan.remedies] == [({"a": 6}, 8.0), ({"b": 2}, 11.0)]


def test_nothing_wanted_takes_nothing():
    plan = pack(alone(0, 3.0, 1.0))
    assert (plan.feasible, plan.cost, plan.gap, plan.stacks) == (True, 0, 0, ())


def test_a_shape_without_any_need_fits_by_its_count():
    task = PackingTask((Shape("a", 7),), (HostKind("host", {}),), {("a", "host"): {}})
    assert pack(task).hosts == {"host": 1}


def test_hosts_are_counted_where_a_price_is_missing():
    kinds = (HostKind("a", {"mem": 10.0}, 1.0), HostKind("b", {"mem": 20.0}))
    needs = {("vm", kind.name): {"mem": Need(5.0)} for kind in kinds}
    plan = pack(PackingTask((Shape("vm", 8),), kinds, needs))
    assert not plan.priced
    assert plan.hosts == {"a": 0, "b": 2}


def test_the_solver_says_nothing(capfd):
    for seed in range(3):
        pack(drawn_task(seed, count=30, shapes=3), Effort(1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "named",
    [{"domains": 2, "lost": 2}, {"domains": 2, "sizes": (1,)}, {"risk_z": math.nan}],
)
def test_numbers_that_make_no_sense_are_refused(named):
    with pytest.raises(UseError):
        alone(1, 1.0, 1.0, **named)


@pytest.mark.parametrize("each", [-1.0, math.inf, math.nan])
def test_needs_that_make_no_sense_are_refused(each):
    with pytest.raises(UseError):
        alone(1, 1.0, each)
