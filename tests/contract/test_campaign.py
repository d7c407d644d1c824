"""Each bad input gives one complaint: file, line, key, what was found, what is allowed."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.campaign import MAX_CELLS, Campaign, HostSelection, load_campaign
from contract.errors import CampaignError

GOOD = """\
campaign: sample
experiments:
  - experiment: lifecycle
    drivers: [simulated]
"""


def load(tmp_path: Path, text: str) -> Campaign:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_campaign(path)[0]


def refused(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(CampaignError) as caught:
        load(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path}/").split(f"\n{tmp_path}/")


def test_the_least_that_a_campaign_says(tmp_path: Path) -> None:
    campaign = load(tmp_path, GOOD)
    assert campaign.campaign == "sample"
    assert (campaign.blocks, campaign.seed, campaign.image) == (3, 1, "tiny")
    assert campaign.experiments[0].params == {}


TOP = "blocks, campaign, deadline_s, description, experiments, hosts, image, limits, profiles, "
TOP += "results, seed"
ENTRY = "deadline_s, drivers, experiment, image, limits, params"
HOSTS = "'all', a list of host names, or a mapping with names, labels or facts"
MAPPING = "a mapping with at least 'campaign' and 'experiments'"
VALUES = "text, a number, true, false, null, or a list of these"

BAD = {
    "blokcs: 2": f"5: unknown key 'blokcs' (did you mean 'blocks'?); allowed: {TOP}",
    "blocks: 1.5": "5: 'blocks': found 1.5; allowed: a whole number",
    "blocks: many": "5: 'blocks': found 'many'; allowed: a whole number",
    "blocks: 0": "5: 'blocks': found 0; allowed: greater than or equal to 1",
    "seed: -1": "5: 'seed': found -1; allowed: greater than or equal to 0",
    "deadline_s: .inf": "5: 'deadline_s': found inf; allowed: a finite number",
    "description: [a]": "5: 'description': found ['a']; allowed: text",
    "limits: 3": "5: 'limits': found 3; allowed: a mapping",
    "limits:\n  cpuz: 2": (
        "6: unknown key 'limits.cpuz' (did you mean 'cpus'?); allowed: cpus, memory_mib"
    ),
    "limits:\n  cpus: 1\n  memory_mib: 1": (
        "7: 'limits.memory_mib': found 1; allowed: greater than or equal to 4"
    ),
    "hosts: some": f"5: 'hosts': found 'some'; allowed: {HOSTS}",
    "hosts: 7": f"5: 'hosts': found 7; allowed: {HOSTS}",
    "hosts: {rack: 1}": "5: unknown key 'hosts.rack'; allowed: facts, labels, names",
    "profiles:\n  quick: {}": "6: key 'profiles.quick.driver' is missing",
    "    deadlin_s: 2": (
        f"5: unknown key 'experiments[0].deadlin_s' (did you mean 'deadline_s'?); allowed: {ENTRY}"
    ),
    "    params: {a: {b: 1}}": f"5: 'experiments[0].params.a': found {{'b': 1}}; allowed: {VALUES}",
    "    params:\n      a: 1\n      b: [2020-01-01]": (
        f"7: 'experiments[0].params.b': found [datetime.date(2020, 1, 1)]; allowed: {VALUES}"
    ),
    "    params: {a: []}": (
        "5: 'experiments[0].params': found {'a': []}; allowed: at least one value in every list"
    ),
}
"""What is added to the good file, and the line and complaint that must come of it."""


@pytest.mark.parametrize("addition", BAD)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, addition: str) -> None:
    assert refused(tmp_path, GOOD + addition) == [f"c.yaml:{BAD[addition]}"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("campaign: a", "c.yaml:1: key 'experiments' is missing"),
        (
            "campaign: a\nexperiments: []",
            "c.yaml:2: 'experiments': found []; allowed: at least one entry",
        ),
        ("campaign: a\nexperiments: {}", "c.yaml:2: 'experiments': found {}; allowed: a list"),
        ("", f"c.yaml: the file is empty; allowed: {MAPPING}"),
    ],
)
def test_an_empty_campaign_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    assert refused(tmp_path, text) == [complaint]


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    complaints = refused(tmp_path, GOOD + "blocks: 0\nsede: 3")
    assert [complaint.split(": ")[0] for complaint in complaints] == ["c.yaml:5", "c.yaml:6"]


@pytest.mark.parametrize("name", ["Upper", "", "-a", "a/b", "../a", "a b", "a" * 64, "a\\n", "é"])
def test_a_name_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    text = GOOD.replace("campaign: sample", f'campaign: "{name}"')
    assert refused(tmp_path, text)[0].startswith("c.yaml:1: 'campaign': found ")


def test_a_matrix_without_end_is_refused(tmp_path: Path) -> None:
    params = ", ".join(f"p{i}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for i in range(5))
    complaint = refused(tmp_path, f"{GOOD}    params: {{{params}}}")[0]
    assert f"at most {MAX_CELLS} combinations, these lists make 100000" in complaint


@pytest.mark.parametrize(
    ("text", "names", "labels"),
    [
        ("all", (), {}),
        ("[h1, h2]", ("h1", "h2"), {}),
        ("{labels: {rack: a}}", (), {"rack": "a"}),
        ("{names: [h1], labels: {rack: a}}", ("h1",), {"rack": "a"}),
    ],
)
def test_hosts_have_short_forms(
    tmp_path: Path, text: str, names: tuple[str, ...], labels: dict[str, str]
) -> None:
    assert load(tmp_path, f"{GOOD}hosts: {text}").hosts == HostSelection(names=names, labels=labels)


def test_hosts_are_chosen_by_name_and_label() -> None:
    chosen = HostSelection(names=("h1", "h2"), labels={"rack": "a"})
    assert chosen.chooses("h1", {"rack": "a", "row": "1"}, {})
    assert not chosen.chooses("h1", {"rack": "b"}, {})
    assert not chosen.chooses("h3", {"rack": "a"}, {})
    assert HostSelection().chooses("anything", {}, {})


def test_a_campaign_is_frozen(tmp_path: Path) -> None:
    campaign = load(tmp_path, GOOD)
    with pytest.raises(ValidationError):
        campaign.blocks = 5  # type: ignore[misc]


def test_settings_of_a_profile_are_kept_for_its_driver(tmp_path: Path) -> None:
    campaign = load(tmp_path, GOOD + "profiles: {quick: {driver: simulated, start_ms: 3}}")
    assert campaign.profiles["quick"].settings == {"start_ms": 3}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80)
@given(key=st.sampled_from([*Campaign.model_fields, "other"]), value=PLAIN)
def test_no_value_anywhere_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    content = yaml.safe_load(GOOD) | {key: value}
    path = tmp_path_factory.getbasetemp() / "any-campaign.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with contextlib.suppress(CampaignError):
        load_campaign(path)
