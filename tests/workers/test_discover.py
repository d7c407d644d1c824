"""Drivers and experiments are found by their files, and every example runs as it stands."""

from pathlib import Path

import pytest
from simulation import measure

from contract.campaign import load_campaign
from contract.errors import CampaignError
from orchestrator.plan import plan_cells, plan_trials
from workers.discover import build_catalog, find_driver, find_experiment
from workers.sampler import METRICS
from workers.settings import HostSettings

CATALOG = build_catalog()


def test_drivers_are_found_and_what_they_share_is_none() -> None:
    assert set(CATALOG.drivers) >= {"process", "docker", "podman", "libvirt", "libvirt_lxc", "simulated"}
    assert {"base", "libvirt_base", "libvirt_machines"}.isdisjoint(CATALOG.drivers)


@pytest.mark.parametrize("name", CATALOG.drivers)
def test_a_driver_is_named_after_its_file(name: str) -> None:
    kind = find_driver(name)
    assert kind.name == name
    assert kind.summary
    assert all(field.description for field in kind.Settings.model_fields.values())


@pytest.mark.parametrize("name", CATALOG.experiments)
def test_an_experiment_is_named_after_its_file(name: str) -> None:
    kind = find_experiment(name)
    assert kind.name == name
    assert kind.summary
    assert all(field.description for field in kind.Params.model_fields.values())
    kind.Params()  # every parameter has a default


def test_every_metric_is_declared_once() -> None:
    for info in CATALOG.experiments.values():
        names = [metric.name for metric in (*METRICS, *info.metrics)]
        assert len(set(names)) == len(names)
        assert all(metric.unit and metric.meaning for metric in info.metrics)


@pytest.mark.parametrize("name", CATALOG.experiments)
def test_every_example_runs_as_it_stands(name: str, tmp_path: Path, host_settings: HostSettings) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(CATALOG.experiments[name].example, encoding="utf-8")
    campaign, source = load_campaign(path)
    trials = plan_trials(campaign, plan_cells(campaign, source, CATALOG), [host_settings.name])
    assert name in {trial.experiment for trial in trials}
    for trial in trials:
        part = measure(host_settings, trial)
        assert (part.record.outcome, part.record.verdict) == ("completed", "valid")


@pytest.mark.parametrize("find", [find_driver, find_experiment])
@pytest.mark.parametrize("name", ["teleport", "base", "__init__", "os", "..simulated", ""])
def test_an_unknown_name_lists_the_known_ones(find: object, name: str) -> None:
    assert callable(find)
    with pytest.raises(CampaignError, match=f"named '{name}'; there are: "):
        find(name)
