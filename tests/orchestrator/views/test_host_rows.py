"""Hosts as rows: found, sorted, a page at a time."""

from typing import Any

from serving_rig import NOW_S, host

from contract import CONTRACT_VERSION
from orchestrator.cli.views.host_rows import ROWS_PER_PAGE, STATES, Asked, by_state, host_row, page_of
from orchestrator.fleet import HostEntry

ACTIVITY = {
    "experiment": "lifecycle",
    "driver": "docker",
    "profile": "crun",
    "trial": "t",
    "since_ns": 1,
}


def names(*hosts: HostEntry, **asked: Any) -> list[str]:
    return [row.name for row in page_of(hosts, Asked(**asked), NOW_S).rows]


def test_ages_are_told_by_the_brokers_clock() -> None:
    """A host whose clock is an hour behind is as alive as any other."""
    late_ns = 3600 * 10**9
    beat = {"at": NOW_S - 3600 - 3, "clock_offset_ns": late_ns, "clock_error_ns": 10}
    activity = {"experiment": "lifecycle", "driver": "docker", "profile": "crun", "trial": "t"}
    activity |= {"since_ns": (NOW_S - 3600 - 40) * 1e9}
    row = host_row(host("h1", beat=beat, activity=activity), NOW_S)
    assert (row.beat_s, row.since_s) == (3.0, 40.0)
    assert row.measuring == "lifecycle docker/crun"
    assert row.clock_is_off


def test_what_is_not_known_is_not_zero() -> None:
    row = host_row(host("h1", beat={}, facts={}, alive=False), NOW_S)
    assert (row.cpus, row.mem_bytes, row.free_bytes, row.offset_ns, row.beat_s) == (None,) * 5
    assert row.state == "stale"


def test_hosts_are_found_by_words_and_state() -> None:
    one, other = host("h1"), host("h2", labels={"rack": "4"}, quarantine={"why": "sick", "since": 1})
    assert names(one, other, words="rack=4") == ["h2"]
    assert names(one, other, words="DOCKER h1") == ["h1"]
    assert names(one, other, words="sick") == ["h2"]
    assert names(one, other, words="libvirt") == []  # it is absent there
    assert names(one, other, state="idle") == ["h1"]
    assert by_state([one, other]) == {"idle": 1, "quarantined": 1}


def test_hosts_are_sorted() -> None:
    off = host("h1", beat={"clock_offset_ns": -9, "mem_available_bytes": 9.0})
    free = host("h2", beat={"clock_offset_ns": 5, "mem_available_bytes": 1.0})
    unknown = host("h0", beat={})
    assert names(off, free, unknown, sort="clock") == ["h1", "h2", "h0"]
    assert names(off, free, unknown, sort="free") == ["h2", "h1", "h0"]
    assert names(off, free, unknown, sort="nonsense") == ["h0", "h1", "h2"]


def test_every_state_is_counted_and_has_its_place() -> None:
    """A state that is not known here would break the page that sorts by it."""
    hosts = [
        host("h1", readable=False, alive=False),
        host("h2", contract=CONTRACT_VERSION + 1),
        host("h3", alive=False),
        host("h4", unbelieved="its registration is not believed: not signed"),
        host("h5", quarantine={"why": "sick", "since": 1}),
        host("h6"),
        host("h7", activity=ACTIVITY),
    ]
    assert tuple(by_state(hosts)) == STATES
    assert names(*hosts, sort="state") == ["h7", "h6", "h5", "h4", "h3", "h2", "h1"]
    assert names(*hosts, words="not believed") == ["h4"]


def test_pages_hold_every_host_once() -> None:
    hosts = [host(f"h{number:04}") for number in range(ROWS_PER_PAGE * 2 + 1)]
    found = [name for page in (1, 2, 3) for name in names(*hosts, page=page)]
    assert found == [one.name for one in hosts]
    assert page_of(hosts, Asked(page=99), NOW_S).page == 3
