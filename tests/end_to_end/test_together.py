"""Three real workers that measure together: a host is lost on purpose, by accident, or never comes."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import own_broker, wait_until
from real_fleet import Engines, RealFleet, real_fleet

HOSTS = ("h1", "h2", "h3")
pytestmark = [
    pytest.mark.long(minutes=4),
    pytest.mark.xdist_group("hosts h1, h2, h3"),
    pytest.mark.redis,
    pytest.mark.timeout(600),
]

INSTANCES = 3
PARAMS = {"residents": INSTANCES, "capacity": 5, "detect_after_s": 1, "loss_after_s": 1}
PARAMS |= {"recovery_deadline_s": 30, "meet_deadline_s": 60}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RealFleet]:
    with own_broker() as broker, real_fleet(tmp_path, broker, dict.fromkeys(HOSTS, Engines())) as made:
        yield made


def ask_for(fleet: RealFleet, blocks: int, **params: Any) -> None:
    entry = {"experiment": "failover", "drivers": ["process"], "params": PARAMS | params}
    content = {"campaign": "faults", "blocks": blocks, "deadline_s": 120, "experiments": [entry]}
    fleet.file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("loss", ["kill", "command"])
def test_instances_of_a_lost_host_return_on_the_others(fleet: RealFleet, loss: str) -> None:
    """``command`` cuts it off the broker, and brings it back at the deadline."""
    ask_for(fleet, 1, loss=loss, recovery_deadline_s=10)
    fleet.finish(fleet.run())
    trials = fleet.rows("trials")
    assert [(t["outcome"], t["error_text"]) for t in trials] == [("completed", None)] * 3
    assert all(tuple(t["group"]) == HOSTS for t in trials)
    host_of = {t["trial_id"]: t["host"] for t in trials}
    rows = [row | {"host": host_of[row["trial_id"]]} for row in fleet.rows("instances")]
    back = [r for r in rows if r["t_ready"] and not r["resident"]]
    assert sorted(r["victim"] for r in back) == list(range(INSTANCES))
    for r in back:
        assert r["t_fault"] < r["t_detect"] <= r["t_act"] <= r["t_call"] < r["t_ready"]
    (lost,) = {r["host"] for r in rows if r["resident"] and r["t_fault"]}
    assert {r["host"] for r in back} == set(HOSTS) - {lost}
    dead = [r for r in rows if r["host"] == lost and r["resident"]]
    assert all(r["t_fault"] < r["t_exited"] for r in dead)
    fleet.nothing_is_left()


def test_a_host_that_is_killed_while_all_measure_together(fleet: RealFleet) -> None:
    """The others end soon and say whom they missed; asked again, all three repeat it together."""
    ask_for(fleet, 1, loss_after_s=14)
    coordinator = fleet.run()
    wait_until(lambda: bool(fleet.broker.client().keys("*:release:running")), "all have come")
    plan = json.loads((fleet.results / "plan.json").read_text())
    drawn = random.Random(plan["trials"][0]["seed"]).choice(HOSTS)
    killed = next(host for host in HOSTS if host != drawn)
    fleet.hosts[killed].kill()
    fleet.hosts[killed].start()
    fleet.finish(coordinator, 3)
    trials = {t["host"]: t for t in fleet.rows("trials")}
    assert {t["outcome"] for t in trials.values()} == {"failed"}
    assert {t["error_class"] for t in trials.values()} == {"rendezvous"}
    assert all(killed in t["error_text"] for t in trials.values())
    fleet.nothing_is_left()
    ask_for(fleet, 1, loss_after_s=14)
    fleet.finish(fleet.run("--retry-failed"))
    assert [t["outcome"] for t in fleet.rows("trials")] == ["completed"] * 3
    fleet.nothing_is_left()
