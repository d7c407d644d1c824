"""Rollout and failover on the simulated driver, whose hosts imagine each other; and their parts."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fleet import wait_until
from hypothesis import given
from hypothesis import strategies as st
from simulation import FAST, RealTimeDriver, instances, measure, use_driver

from contract.errors import EngineError
from contract.parts import Part
from workers.dead_man import Switch, run_command
from workers.experiments.placement import place
from workers.settings import HostSettings

HOSTS = ("h1", "h2", "h3")


def samples(part: Part, metric: str) -> list[float]:
    return [r["value"] for r in part.tables["samples"].to_pylist() if r["metric"] == metric]


def failover(host: HostSettings, seed: int = 1, group: tuple[str, ...] = HOSTS, **params: Any) -> Part:
    me = host.model_copy(update={"name": "h1"})
    standard = {"residents": 4, "capacity": 8, "recovery_deadline_s": 20}
    changes: dict[str, Any] = {"experiment": "failover", "params": standard | params}
    return measure(me, group=group, seed=seed, **changes)


def lost(part: Part) -> str:
    found: str = part.record.facts["findings"]["failover"]["lost"]
    return found


@pytest.fixture
def survivor(host_settings: HostSettings) -> int:
    """A seed with which another host than ours is lost."""
    return next(seed for seed in range(20) if lost(failover(host_settings, seed)) != "h1")


@pytest.fixture
def victim(host_settings: HostSettings) -> int:
    """A seed with which our host is lost."""
    return next(seed for seed in range(20) if lost(failover(host_settings, seed)) == "h1")


def test_a_survivor_brings_back_its_share(host_settings: HostSettings, survivor: int) -> None:
    part = failover(host_settings, survivor)
    assert (part.record.outcome, part.record.verdict) == ("completed", "valid")
    rows = [row for row in instances(part) if not row["resident"]]
    assert Counter(row["error_class"] for row in rows) == {None: 2, "elsewhere": 2}
    for row in (row for row in rows if row["error_class"] is None):
        assert row["outcome"] == "ok"
        assert row["t_fault"] + 10**9 <= row["t_detect"] + 10**8  # one silent second, from the last beat
        assert row["t_detect"] <= row["t_act"] <= row["t_call"] < row["t_ready"]
    assert samples(part, "failover.capacity_left") == [2]
    assert samples(part, "failover.false_alarms") == [0]


def test_what_finds_no_place_is_censored(host_settings: HostSettings, survivor: int) -> None:
    rows = [r for r in instances(failover(host_settings, survivor, capacity=5)) if not r["resident"]]
    mine = [row for row in rows if row["error_class"] != "elsewhere"]
    assert [row["outcome"] for row in mine] == ["ok", "censored"]
    assert mine[1]["error_class"] == "capacity"


def test_what_is_slower_than_the_deadline_is_censored(
    host_settings: HostSettings, survivor: int
) -> None:
    part = failover(host_settings, survivor, recovery_deadline_s=1.05)
    mine = [r for r in instances(part) if not r["resident"] and r["error_class"] != "elsewhere"]
    assert {row["outcome"] for row in mine} <= {"censored", "ok"}
    assert any(row["outcome"] == "censored" for row in mine)
    assert part.record.outcome == "completed"


def test_the_lost_host_measures_nothing_and_is_no_failure(
    host_settings: HostSettings, victim: int
) -> None:
    part = failover(host_settings, victim)
    assert part.record.outcome == "completed"
    rows = instances(part)
    assert all(row["t_exited"] is not None and row["t_fault"] is not None for row in rows[:4])
    assert {row["error_class"] for row in rows[4:]} == {"elsewhere"}
    assert samples(part, "failover.loss")[0] > 0


def test_a_single_simulated_host_imagines_others(host_settings: HostSettings) -> None:
    part = failover(host_settings, group=("h1",))
    found = part.record.facts["findings"]["failover"]
    assert len({found["lost"], *found["survivors"]}) == 3


def test_a_single_real_host_is_refused(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, RealTimeDriver)
    changes: dict[str, Any] = {"experiment": "failover", "params": {"residents": 1}, "settings": FAST}
    part = measure(host_settings, group=(host_settings.name,), **changes)
    assert part.record.error_class == "rendezvous"
    assert "two hosts or more" in str(part.record.error_text)


def test_several_real_hosts_need_a_broker(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, RealTimeDriver)
    changes: dict[str, Any] = {"experiment": "rollout", "params": {"size_mib": 1}, "settings": FAST}
    part = measure(host_settings, group=(host_settings.name, "other"), **changes)
    assert part.record.error_class == "rendezvous"
    assert "no broker" in str(part.record.error_text)


def test_a_rollout_has_all_stages(host_settings: HostSettings) -> None:
    part = measure(host_settings, experiment="rollout", params={"size_mib": 20})
    (row,) = instances(part)
    stamps = ("t_intent", "t_pull", "t_pulled", "t_unpacked", "t_call", "t_created", "t_ready")
    assert [row[name] for name in stamps] == sorted(row[name] for name in stamps)
    assert samples(part, "rollout.bytes_wire")[0] > 10 << 20
    assert len(samples(part, "rollout.clock_error")) == 1
    assert part.record.verdict == "valid"


def test_hosts_take_turns_when_few_take_part(host_settings: HostSettings) -> None:
    me = host_settings.model_copy(update={"name": "h1"})
    drawn = set()
    for seed in range(12):
        changes: dict[str, Any] = {"params": {"size_mib": 1, "fan_out": 2}, "group": HOSTS}
        part = measure(me, experiment="rollout", seed=seed, **changes)
        hosts = part.record.facts["findings"]["rollout"]["hosts"]
        (row,) = instances(part)
        assert (row["error_class"] == "elsewhere") == ("h1" not in hosts)
        assert part.record.outcome == "completed"
        drawn |= {tuple(hosts)}
    assert drawn == {("h1", "h2"), ("h1", "h3"), ("h2", "h3")}


def test_more_hosts_than_there_are_is_refused(host_settings: HostSettings) -> None:
    part = measure(host_settings, experiment="rollout", params={"size_mib": 1, "fan_out": 2})
    assert "takes as many hosts" in str(part.record.error_text)


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 20))
def test_placement_uses_all_room_and_no_more(instances: int, hosts: int, spare: int) -> None:
    survivors = [f"h{n}" for n in range(hosts)]
    placed = place(instances, survivors, spare)
    found = Counter(host for host, has_room in placed if has_room)
    assert len(placed) == instances
    assert sum(found.values()) == min(instances, hosts * spare)
    assert all(count <= spare for count in found.values())
    assert max(found.values(), default=0) - min((found[h] for h in survivors), default=0) <= 1


def test_the_switch_brings_a_host_back_when_let_go(tmp_path: Path) -> None:
    sign = tmp_path / "back"
    switch = Switch(["touch", str(sign)], 60)
    time.sleep(0.3)
    assert not sign.exists()
    switch.let_go()
    assert sign.exists()


def test_the_switch_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    sign = tmp_path / "back"
    code = (
        "import os, signal, time; from workers.dead_man import Switch\n"
        f"switch = Switch(['touch', {str(sign)!r}], 60); time.sleep(0.5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60)
    wait_until(sign.exists, "the host was brought back")


def test_the_switch_waits_no_longer_than_its_limit(tmp_path: Path) -> None:
    sign = tmp_path / "back"
    switch = Switch(["touch", str(sign)], 0.2)
    wait_until(sign.exists, "the host was brought back")
    switch.let_go()


def test_a_command_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(EngineError, match="--lose-command failed with 3: no such link"):
        run_command(["sh", "-c", "echo no such link >&2; exit 3"], "--lose-command")
    with pytest.raises(EngineError, match="cannot be run"):
        run_command(["/nowhere/program"], "--lose-command")


def test_commands_are_split_as_a_shell_would_and_no_further() -> None:
    host = HostSettings.model_validate({"name": "h1", "lose_command": "ip link 'set x' $HOME; rm"})
    assert host.lose_command == ("ip", "link", "set x", "$HOME;", "rm")
