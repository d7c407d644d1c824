"""Which hosts are alike."""

import pytest
from make_trials import Made, Where, record_of, write_trials

from analysis.dataset import open_dataset
from analysis.host_classes import UNKNOWN, class_of_host, host_classes

GIB = 1 << 30


def dataset(folder, facts_of):
    """One trial per host and facts."""
    made = [
        Made(record_of(Where(), "density", host, block, facts), [], [])
        for host, found in facts_of.items()
        for block, facts in enumerate(found)
    ]
    with open_dataset(write_trials(folder, made)) as opened:
        return host_classes(opened)


def facts(cpus=2, memory=24 * GIB, **more):
    return {"cpu_model": "Model 1", "cpu_count": cpus, "mem_bytes": memory, **more}


def test_hosts_of_one_kind_are_one_class(tmp_path):
    classes = dataset(
        tmp_path, {"h1": [facts()], "h2": [facts(memory=24 * GIB - 4096)], "h3": [facts(cpus=8)]}
    )
    assert [(c.name, c.hosts) for c in classes] == [
        ("2 × Model 1, 24 GiB", ("h1", "h2")),
        ("8 × Model 1, 24 GiB", ("h3",)),
    ]
    assert classes[0].cpu_count == 2
    assert classes[0].mem_bytes == pytest.approx(24 * GIB, abs=4096)
    assert class_of_host(classes)["h3"] == "8 × Model 1, 24 GiB"


def test_an_operators_label_goes_first(tmp_path):
    label = {"labels": {"class": "small", "rack": "3"}}
    classes = dataset(tmp_path, {"h1": [facts(**label)], "h2": [facts(cpus=4, **label)]})
    assert [(c.name, c.hosts, c.cpu_count) for c in classes] == [("small", ("h1", "h2"), None)]


def test_a_trial_that_failed_early_says_nothing_of_its_host(tmp_path):
    nothing = {"cpu_model": None, "cpu_count": None, "mem_bytes": None}
    classes = dataset(tmp_path, {"h1": [nothing, nothing, facts()], "h2": [nothing]})
    assert [(c.name, c.hosts) for c in classes] == [
        ("2 × Model 1, 24 GiB", ("h1",)),
        (UNKNOWN, ("h2",)),
    ]
