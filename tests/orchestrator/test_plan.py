"""From a campaign to its trials: pure, interleaved, and every complaint with its line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.campaign import Campaign
from contract.errors import CampaignError
from contract.trial import Trial
from contract.yaml_source import YamlSource
from orchestrator.plan import Cell, choose_hosts, plan_cells, plan_trials
from workers.discover import build_catalog

CATALOG = build_catalog()

GOOD = """\
campaign: sample
blocks: 4
profiles:
  quick:
    driver: simulated
    start_ms: 3
experiments:
  - experiment: lifecycle
    drivers: [simulated, quick]
    params:
      instances: [2, 3]
      concurrency: 1
"""


def cells_of(text: str) -> tuple[Campaign, tuple[Cell, ...]]:
    source = YamlSource(Path("c.yaml"), text)
    campaign = Campaign.model_validate(source.data)
    return campaign, plan_cells(campaign, source, CATALOG)


def plan(text: str, *hosts: str) -> tuple[Trial, ...]:
    return plan_trials(*cells_of(text), list(hosts or ["h1"]))


def refused(text: str) -> str:
    with pytest.raises(CampaignError) as caught:
        cells_of(text)
    return str(caught.value)


def ids(trials: tuple[Trial, ...]) -> list[str]:
    return [trial.trial_id for trial in trials]


def test_cells_are_all_combinations_with_defaults_filled_in() -> None:
    _, cells = cells_of(GOOD)
    assert [(c.driver, c.profile, c.params["instances"]) for c in cells] == [
        ("simulated", "default", 2),
        ("simulated", "default", 3),
        ("simulated", "quick", 2),
        ("simulated", "quick", 3),
    ]
    assert cells[0].settings["start_ms"] == 30
    assert cells[2].settings["start_ms"] == 3
    assert cells[0].params["ready"] == "reply"
    assert (cells[0].image, cells[0].deadline_s) == ("tiny", 300)


def test_an_entrys_own_words_beat_the_campaigns() -> None:
    entry = "    image: alpine\n    deadline_s: 7\n    limits: {cpus: 2}\n"
    cell = cells_of(GOOD + entry)[1][0]
    assert (cell.image, cell.deadline_s, cell.limits.cpus) == ("alpine", 7, 2)


def test_planning_is_pure() -> None:
    assert ids(plan(GOOD, "h1", "h2")) == ids(plan(GOOD, "h2", "h1"))
    assert len(set(ids(plan(GOOD, "h1", "h2")))) == 4 * 4 * 2


def test_each_block_is_a_permutation_of_all_cells() -> None:
    trials = plan(GOOD, "h1", "h2")
    every = {(t.profile, t.params["instances"]) for t in trials}
    orders = set()
    for host in ("h1", "h2"):
        for block in range(4):
            mine = [t for t in trials if (t.host, t.block) == (host, block)]
            assert [t.order for t in mine] == list(range(4))
            order = tuple((t.profile, t.params["instances"]) for t in mine)
            assert set(order) == every
            orders.add(order)
    assert len(orders) > 4  # fresh for every block and host


def test_the_seed_fixes_the_order() -> None:
    other = plan(GOOD + "seed: 2\n")
    assert ids(other) != ids(plan(GOOD))
    assert [t.seed for t in other] != [t.seed for t in plan(GOOD)]
    assert all(0 <= t.seed < 2**63 for t in other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("instances: [2, 3]", "instances: [2, 3, 4]"),
        ("blocks: 4", "blocks: 5"),
        ("start_ms: 3", "start_ms: 3\n  another: {driver: simulated}"),
        ("instances: [2, 3]", "instances: [3, 2]"),
        ("campaign: sample", "campaign: sample\ndescription: changed"),
    ],
)
def test_more_work_leaves_the_ids_of_the_rest(old: str, new: str) -> None:
    """So a campaign that grows measures only what is new."""
    assert set(ids(plan(GOOD))) <= set(ids(plan(GOOD.replace(old, new))))


def test_other_work_has_other_ids() -> None:
    for change in ("start_ms: 4", "start_ms: 3\nimage: alpine", "start_ms: 3\ndeadline_s: 9"):
        changed = set(ids(plan(GOOD.replace("start_ms: 3", change))))
        assert any(trial not in changed for trial in ids(plan(GOOD)))


def test_a_uri_of_libvirt_chooses_the_driver_and_its_capabilities() -> None:
    text = ENTRY.replace("[simulated]", "[a, b, c, d]") + (
        "    params: {ready: started}\nprofiles:\n"
        "  a: {driver: libvirt, uri: 'lxc:///'}\n"
        "  b: {driver: libvirt, uri: 'vbox:///session'}\n"
        "  c: {driver: libvirt, uri: 'vmwareplayer:///session'}\n"
        "  d: {driver: libvirt, uri: 'esx://root@esx.example/?no_verify=1'}\n"
    )
    _, cells = cells_of(text)
    found = {cell.profile: cell.driver for cell in cells}
    assert found == {
        "a": "libvirt_lxc",
        "b": "libvirt_vbox",
        "c": "libvirt_vmware",
        "d": "libvirt_esx",
    }
    said = refused(text.replace("ready: started", "ready: reply"))
    assert "a driver that offers console for these parameters (libvirt_esx offers" in said


ENTRY = "campaign: c\nexperiments:\n  - experiment: lifecycle\n    drivers: [simulated]\n"
PROFILE = ENTRY.replace("[simulated]", "[p]") + "profiles:\n  p:\n    driver: "

BAD = {
    PROFILE + "libvirt\n    uri: xen:///system\n": "c.yaml:8: 'profiles.p.uri': found 'xen:///system'; "
    "allowed: one of qemu:///system or qemu:///session or qemu:///embed?root=DIR (driver libvirt), lxc:///",
    PROFILE + "libvirt_lxc\n    uri: vbox:///session\n": "c.yaml:8: 'profiles.p.uri': found "
    "'vbox:///session'; allowed: lxc:///; 'vbox:///session' belongs to driver 'libvirt_vbox'",
    PROFILE + "libvirt\n    uri: 'lxc:///'\n    machine: q35\n": "c.yaml:9: unknown key "
    "'profiles.p.machine'",
    ENTRY + "    params:\n      instances: 0\n": (
        "c.yaml:6: 'experiments[0].params.instances': found 0; allowed: greater than or equal to 1"
    ),
    ENTRY + "    params:\n      instances: [5, -5]\n": (
        "c.yaml:6: 'experiments[0].params.instances': found -5; allowed: greater than or equal to 1"
    ),
    ENTRY + "    params:\n\n      instance: 5\n": (
        "c.yaml:7: unknown key 'experiments[0].params.instance' (did you mean 'instances'?); allowed: "
    ),
    ENTRY + "    params: {cache: hot}\n": (
        "c.yaml:5: 'experiments[0].params.cache': found 'hot'; allowed: 'warm', 'page_cold' or"
    ),
    ENTRY + "    params: {ready: 'tcp:99999'}\n": (
        "c.yaml:5: 'experiments[0].params.ready': found 'tcp:99999'; allowed: a port from 1 to 65535"
    ),
    ENTRY + "    params: {cache: page_cold, concurrency: 4}\n": (
        "c.yaml:5: 'experiments[0].params': found {'cache': 'page_cold', 'concurrency': 4}; allowed: "
        "concurrency 1, no residents"
    ),
    ENTRY.replace("lifecycle", "lifecycel"): (
        "c.yaml:3: 'experiments[0].experiment': found 'lifecycel'; allowed: one of "
    ),
    ENTRY.replace("[simulated]", "[simulated, dcoker]"): (
        "c.yaml:4: 'experiments[0].drivers[1]': found 'dcoker'; allowed: a driver or profile: docker, "
    ),
    PROFILE + "teleport\n": (
        "c.yaml:7: 'profiles.p.driver': found 'teleport'; allowed: one of docker, "
    ),
    ENTRY + "profiles:\n  docker: {driver: docker}": (
        "c.yaml:6: 'profiles.docker': found 'docker'; allowed: a name that no driver has"
    ),
    PROFILE + "simulated\n    boot: 4\n": "c.yaml:8: unknown key 'profiles.p.boot'",
    PROFILE + "simulated\n    boot_ms: -1\n": (
        "c.yaml:8: 'profiles.p.boot_ms': found -1; allowed: greater than or equal to 0"
    ),
    ENTRY.replace("[simulated]", "[simulated, simulated]"): (
        "c.yaml:4: 'experiments[0].drivers[1]': found 'simulated'; allowed: every combination only once"
    ),
    ENTRY + "    params: {concurrency: [2, 2]}\n": "allowed: every combination only once",
    ENTRY + "    params: {ready: 'tcp:80'}\n": (
        "c.yaml:4: 'experiments[0].drivers[0]': found 'simulated'; allowed: a driver that offers "
        "address for these parameters (simulated offers "
    ),
}
"""Campaigns, and the complaint that each must get."""


@pytest.mark.parametrize("text", BAD)
def test_a_bad_campaign_is_named_with_its_place(text: str) -> None:
    assert BAD[text] in refused(text)


def test_equal_cells_of_two_entries_are_one_too_many() -> None:
    again = ENTRY + "  - experiment: lifecycle\n    drivers: [simulated]\n"
    assert refused(again).startswith("c.yaml:6: 'experiments[1].drivers[0]'")


@dataclass
class Host:
    labels: dict[str, str]
    traits: dict[str, Any]


KNOWN = {
    "h1": Host({"rack": "a"}, {"mem_gib": 62.8, "cpu_count": 8, "libvirt.accelerator": "kvm"}),
    "h2": Host({"rack": "b"}, {"mem_gib": 125.6, "cpu_count": 8, "docker.live_restore": True}),
    "h3": Host({"rack": "a"}, {"mem_gib": 251.0, "cpu_count": 64, "libvirt.accelerator": "tcg"}),
}


@pytest.mark.parametrize(
    ("hosts", "chosen"),
    [
        ("all", ["h1", "h2", "h3"]),
        (["h3", "h1"], ["h1", "h3"]),
        ({"labels": {"rack": "a"}}, ["h1", "h3"]),
        ({"names": ["h1", "h2"], "labels": {"rack": "a"}}, ["h1"]),
        ({"facts": ["mem_gib >= 64"]}, ["h2", "h3"]),
        ({"facts": ["mem_gib >= 64", "cpu_count < 10"], "labels": {"rack": "b"}}, ["h2"]),
        ({"facts": ["libvirt.accelerator == kvm"]}, ["h1"]),
        ({"facts": ["libvirt.accelerator != kvm"]}, ["h3"]),
        ({"facts": ["docker.live_restore == true"]}, ["h2"]),
    ],
)
def test_hosts_are_chosen(hosts: Any, chosen: list[str]) -> None:
    campaign = cells_of(ENTRY)[0].model_dump() | {"hosts": hosts}
    assert choose_hosts(Campaign.model_validate(campaign), KNOWN) == chosen


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        (["h9", "h1", "h8"], "no such host: h8, h9; hosts that are alive: h1, h2, h3"),
        ({"labels": {"rack": "z"}}, "the campaign's 'hosts' selects none; hosts that are alive: h1, h2"),
        ({"facts": ["mem_gib > 999"]}, "the campaign's 'hosts' selects none"),
        ({"facts": ["memgib > 9"]}, "no host has a fact 'memgib'; there are: cpu_count, docker.live_re"),
    ],
)
def test_hosts_that_are_not_there_are_named(hosts: Any, complaint: str) -> None:
    campaign = cells_of(ENTRY)[0].model_dump() | {"hosts": hosts}
    with pytest.raises(CampaignError, match=complaint):
        choose_hosts(Campaign.model_validate(campaign), KNOWN)


def test_no_host_at_all_is_said_plainly() -> None:
    with pytest.raises(CampaignError, match="selects none; hosts that are alive: none"):
        choose_hosts(cells_of(ENTRY)[0], {})


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True),
    st.integers(1, 5),
    st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=4),
)
def test_every_plan_is_complete(instances: list[int], blocks: int, hosts: set[str]) -> None:
    text = f"{ENTRY}    params: {{instances: {instances}}}\nblocks: {blocks}\n"
    trials = plan(text, *hosts)
    assert len(set(ids(trials))) == len(trials) == len(instances) * blocks * len(hosts)


def many(lists: int, values: int = 100) -> str:
    """Experiments with two long lists each."""
    numbers = f"[{', '.join(map(str, range(1, values + 1)))}]"
    entry = f"  - {{experiment: lifecycle, drivers: [simulated], params: {{instances: {numbers}, "
    entries = [entry + f"concurrency: {numbers}}}, image: i{n}}}\n" for n in range(lists)]
    return "campaign: many\nblocks: 10000\nexperiments:\n" + "".join(entries)


def test_lists_that_multiply_to_what_no_memory_holds_are_refused_before_a_cell_is_made() -> None:
    assert "c.yaml:6: 'experiments[2]': found '30000 cells up to here'" in refused(many(4))


def test_a_plan_of_more_trials_than_a_coordinator_holds_is_refused_before_it_is_made() -> None:
    campaign, cells = cells_of(many(1, 15))
    with pytest.raises(CampaignError, match="225 cells x 10000 blocks x 1 hosts are 2250000 trials"):
        plan_trials(campaign, cells, ["h1"])
    with pytest.raises(CampaignError, match="at most 1000000 in a plan; make several"):
        plan_trials(campaign, cells[:1], [f"h{n}" for n in range(1000)])
