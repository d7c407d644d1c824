import pytest
from make_dataset import Design, Variant, write_dataset

from analysis.compare.selection import parse_selection, select, selection_of
from analysis.dataset import open_dataset
from contract.errors import UseError

VARIANTS = (Variant("docker", 100), Variant("docker", 90, profile="crun"), Variant("process", 5))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("d")
    labels = {"cpu_model": "Model, 1", "cpu_count": 4, "mem_bytes": 8 << 30}
    design = Design(VARIANTS, hosts=("h1", "h2"), blocks=4, concurrency=(1, 8), facts=labels)
    with open_dataset(write_dataset(folder, design)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 48),
        (["driver=docker"], 32),
        (["driver=docker,profile=crun"], 16),
        (["driver=docker", "profile=crun"], 16),
        (["driver=process,driver=docker"], 48),
        (["concurrency=8"], 24),
        (["concurrency>1,block<2"], 12),
        (["block>=3"], 12),
        (["host=h2,block=0"], 6),
        (["graceful=false"], 48),
        (["date>=2026-02-01,date<2026-03-01"], 48),
        (["date=2026-02-02"], 48),
        (["class=4 × Model, 1, 8 GiB,driver=process"], 16),
        (["image=tiny"], 48),
    ],
)
def test_it_chooses(dataset, texts, count):
    assert len(select(dataset, parse_selection(texts, "--a"), "--a").trials()) == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "drvier=docker",
            "unknown key 'drvier' (did you mean 'driver'?); allowed: driver, profile, host, class",
        ),
        ("driver=podman", "nothing in"),
        ("driver=podman", "has driver docker and process"),
        ("block>9", "block 0 to 3"),
        ("date<2026-01-01", "has date 2026-02-02"),
        ("docker", "found 'docker'; allowed: KEY=VALUE"),
        ("driver=", "allowed: KEY=VALUE"),
        ("date>=tomorrow", "allowed: a day or a moment"),
        ("concurrency>many", "allowed: a number"),
    ],
)
def test_errors_say_what_is_allowed_and_what_there_is(dataset, text, said):
    with pytest.raises(UseError, match=r".") as caught:
        select(dataset, parse_selection([text], "--a"), "--a")
    assert said in str(caught.value)


def test_a_mapping_of_a_rule_is_a_selection(dataset):
    where = {"driver": ["docker", "process"], "concurrency": 8, "graceful": False}
    assert len(select(dataset, selection_of(where), "where").trials()) == 24
    bounds = {"block": [">=1", "<3"], "date": ">= 2026-02-01"}
    assert len(select(dataset, selection_of(bounds), "where").trials()) == 24


def test_a_selected_dataset_knows_its_own_experiments_only(tmp_path):
    other = Design((Variant("process", 5),), experiment="churn")
    with open_dataset(write_dataset(tmp_path, Design(VARIANTS), other)) as opened:
        assert opened.experiments() == ("churn", "lifecycle")
        chosen = select(opened, parse_selection(["driver=docker"], "--a"), "--a")
        assert chosen.experiments() == ("lifecycle",)
