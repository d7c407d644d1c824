"""What the diagnostics say of whole campaigns."""

import numpy as np
import pytest
from bench.diagnostics import POWER, Campaign, rates
from make_campaign import Truth, write_campaign

from analysis.dataset import open_dataset
from analysis.diagnostics.section import section, table

HOSTS = tuple(f"host-{i:02d}" for i in range(10))


def diagnosed(folder, truth):
    with open_dataset(write_campaign(folder, truth)) as dataset:
        return table(dataset)


def said(tables):
    return " ".join(section(tables).summary)


def details(tables):
    return " ".join(section(tables).about)


def test_of_a_clean_campaign_there_is_nothing_to_say(tmp_path):
    tables = diagnosed(tmp_path, Truth(HOSTS[:6], blocks=6, instances=10))
    assert said(tables) == ""
    assert "No drift was found in 8 courses of blocks." in details(tables)
    assert "No outlier was found among 6 hosts." in details(tables)


def test_a_slow_host_and_a_drift_are_said(tmp_path):
    truth = Truth(HOSTS, blocks=8, instances=10, slow={"host-03": 1.5}, drift=0.3)
    tables = diagnosed(tmp_path, truth)
    words = said(tables)
    assert "host-03 is not like the other hosts of its class" in words
    assert "time to ready (lifecycle) 1.4" in words
    assert "Drift: the time to ready (lifecycle) of all variants together rises by" in words
    hosts = tables["hosts"]
    assert set(hosts.loc[hosts["outlier"].fillna(value=False), "host"]) == {"host-03"}


def test_a_slow_beginning_is_said(tmp_path):
    truth = Truth(HOSTS[:3], blocks=8, instances=10, first_block=1.5, first_instance=2.0)
    words = said(diagnosed(tmp_path, truth))
    assert "In the first block, the time to ready (lifecycle) of all variants together was 1.5" in words
    assert "At the beginning of each trial, the time to ready (lifecycle) of docker was" in words


def test_a_host_that_contradicts_a_verdict_is_named(tmp_path):
    truth = Truth(
        HOSTS[:6],
        blocks=5,
        instances=10,
        drivers={"docker": 170.0, "containerd": 120.0},
        slow_with={("host-02", "docker"): 0.4},
    )
    tables = diagnosed(tmp_path, truth)
    assert "Hosts do not agree about docker against containerd" in said(tables)
    (row,) = tables["agreement"].query("measure == 'time to ready'").to_dict("records")
    assert (row["slower"], row["faster"], row["against"]) == (5, 1, "host-02")


def test_hosts_are_judged_within_their_class(tmp_path):
    truth = Truth(HOSTS, blocks=5, instances=10, big=HOSTS[:5], slow=dict.fromkeys(HOSTS[:5], 0.5))
    tables = diagnosed(tmp_path, truth)
    assert not tables["hosts"]["outlier"].any()
    assert set(tables["hosts"]["host_class"]) == {"big", "small"}


def test_slopes_of_memory_and_recoveries_are_diagnosed_too(tmp_path):
    truth = Truth(
        HOSTS[:6],
        blocks=3,
        drivers={"docker": 170.0},
        experiments=("density", "recovery"),
        slow={"host-01": 3.0},
    )
    tables = diagnosed(tmp_path, truth)
    outliers = tables["hosts"][tables["hosts"]["outlier"]]
    assert set(outliers["host"]) == {"host-01"}
    assert "memory per instance" in set(outliers["measure"])
    variance = tables["variance"].set_index("measure")
    assert variance["within_blocks"].isna()["memory per instance"].all()
    assert "Drift could not be looked for: that needs 5 blocks." in details(tables)


@pytest.mark.parametrize("campaign", [Campaign(hosts=6), Campaign(hosts=1)])
def test_false_alarms_are_rare(campaign):
    found = rates(campaign, 40)
    kinds = ("drift", "neighbours", "first block", "first instances", "outlier", "agreement")
    # more than 5 of 40 would have a chance of 1 % at a rate of 5 %
    assert all(found[kind] <= 5 for kind in kinds), found


@pytest.mark.parametrize("name", ["a host 20 % slower", "drift of 10 %"])
def test_what_is_there_is_found(name):
    campaign, kind = POWER[name]
    assert rates(campaign, 20)[kind] >= 14


def test_variance_components_find_their_truth(tmp_path):
    truth = Truth(HOSTS, drivers={"docker": 170.0}, sigma=0.1, block_sigma=0.05, host_sigma=0.2, seed=4)
    row = diagnosed(tmp_path, truth)["variance"].iloc[0]
    assert np.sqrt(row["within_blocks"]) == pytest.approx(0.1, rel=0.05)
    assert np.sqrt(row["between_blocks"]) == pytest.approx(0.05, rel=0.25)
    assert np.sqrt(row["between_hosts"]) == pytest.approx(0.2, rel=0.6)
