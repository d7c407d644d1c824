"""What several hosts measure together: last in every block, in one order, and whole or not at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_fleet import Clock, Fleet, Watcher

from contract.campaign import Campaign
from contract.rows import InstanceRow
from contract.trial import Trial
from contract.yaml_source import YamlSource
from orchestrator import coordinate
from orchestrator.cli.trial_filter import Choice
from orchestrator.coordinate import Coordination
from orchestrator.plan import Groups, plan_cells, plan_trials
from orchestrator.quarantine import FAILURES_IN_A_ROW, FailureWatch
from orchestrator.results import Results
from workers.discover import build_catalog

TEXT = """\
campaign: sample
blocks: 3
profiles:
  quick: {driver: simulated, start_ms: 3}
experiments:
  - experiment: failover
    drivers: [simulated, quick]
    params: {capacity: [5, 8]}
  - experiment: lifecycle
    drivers: [simulated]
    params: {instances: [1, 2]}
"""
HOSTS = ("h1", "h2", "h3")


def plan(hosts: tuple[str, ...] = HOSTS, groups: Groups | None = None) -> tuple[Trial, ...]:
    source = YamlSource(Path("c.yaml"), TEXT)
    campaign = Campaign.model_validate(source.data)
    cells = plan_cells(campaign, source, build_catalog())
    return plan_trials(campaign, cells, list(hosts), groups)


def test_common_trials_come_last_and_in_the_same_order_everywhere() -> None:
    trials = plan()
    orders = set()
    for block in range(3):
        of_hosts = set()
        for host in HOSTS:
            mine = [t for t in trials if (t.host, t.block) == (host, block)]
            assert [bool(t.group) for t in mine] == [False] * 2 + [True] * 4
            assert [t.order for t in mine] == list(range(6))
            of_hosts.add(tuple(t.meeting_id for t in mine[2:]))
        assert len(of_hosts) == 1
        orders |= {tuple((t.profile, t.params["capacity"]) for t in mine[2:])}
    assert len(orders) > 1  # fresh in every block


def test_all_hosts_are_named_and_draw_the_same() -> None:
    shared = [t for t in plan() if t.group]
    assert {t.group for t in shared} == {HOSTS}
    for meeting in {t.meeting_id for t in shared}:
        own = [t for t in shared if t.meeting_id == meeting]
        assert [t.host for t in own] == list(HOSTS)
        assert len({t.seed for t in own}) == 1
    assert len({t.trial_id for t in shared}) == len(shared)


def test_a_host_that_joins_later_takes_no_part_and_changes_nothing() -> None:
    before = {t.trial_id for t in plan()}
    after = plan((*HOSTS, "h4"), {"simulated": HOSTS})
    assert before <= {t.trial_id for t in after}
    assert not any(t.group for t in after if t.host == "h4")


@given(st.lists(st.sampled_from(["h1", "h2", "h3", "h4", "h5"]), min_size=1, unique=True))
def test_no_two_hosts_can_wait_for_each_other(hosts: list[str]) -> None:
    """Every host meets the meetings that it shares with another one in the same order."""
    trials = plan(tuple(hosts), {"simulated": tuple(sorted(hosts))[:3]})
    ways = [[t.meeting_id for t in trials if t.host == host and t.group] for host in hosts]
    known = [way for way in ways if way]
    assert all(way == known[0] for way in known)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.setattr(coordinate, "time", Clock())
    return Results(tmp_path)


def run(results: Results, fleet: Fleet, **options: object) -> Fleet:
    rows = [InstanceRow(0)]
    Coordination(plan(), results, fleet, Watcher(), lambda _: rows, **options).run(lambda: False)  # type: ignore[arg-type]  # options of a test
    return fleet


def test_what_failed_on_one_host_is_measured_again_by_all(results: Results) -> None:
    (spoilt,) = [t for t in plan() if t.host == "h2" and t.block == 1 and t.group][:1]
    first = run(results, Fleet(Clock(), fate=lambda o: "failed" if o.trial == spoilt else "well"))
    assert len(first.sent) == len(plan())
    assert run(results, Fleet(Clock())).sent == []
    again = run(results, Fleet(Clock()), retry_failed=True)
    assert sorted(order.trial.host for order in again.sent) == list(HOSTS)
    assert {order.trial.meeting_id for order in again.sent} == {spoilt.meeting_id}
    assert all(order.attempt == 2 and order.newer_than == 1 for order in again.sent)


def test_only_chooses_common_trials_whole() -> None:
    shared = next(t for t in plan() if t.group)
    assert not Choice(["host=h1"])(shared)
    assert Choice(["host=h1", "host=h2", "host=h3"])(shared)
    others = [t for t in plan() if Choice([f"trial={shared.trial_id}"])(t)]
    assert {t.host for t in others} == set(HOSTS)
    assert {t.meeting_id for t in others} == {shared.meeting_id}


def test_a_host_is_not_sick_because_others_did_not_come() -> None:
    watch = FailureWatch()
    alone = next(t for t in plan() if not t.group and t.host == "h1")
    assert not watch.note(alone, "completed")
    shared = [t for t in plan() if t.group and t.host == "h2"]
    assert len(shared) > FAILURES_IN_A_ROW
    assert not any(watch.note(t, "failed") for t in shared)
