"""The sample campaigns are what newcomers copy: each can be planned, and runs on simulated hosts.

A new sample is picked up by being there.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from simulation import measure

from contract.campaign import Campaign, load_campaign
from contract.catalog import Capability
from contract.trial import Trial
from orchestrator.plan import plan_cells, plan_trials
from workers.discover import build_catalog
from workers.settings import HostSettings

SAMPLES = Path(__file__).parents[2] / "deploy" / "campaigns"
PATHS = sorted(SAMPLES.glob("*.yaml"))
CATALOG = build_catalog()

CUTS: dict[str, dict[str, Any]] = {
    "lifecycle": {"instances": 3},
    "churn": {"duration_s": 10},
    "density": {"max_instances": 20},
    "deployment": {"deployments": 2},
    "failover": {"loss": "kill"},
    "isolation": {"phase_s": 4, "ramp_s": 1},
    "management": {"operations": 1, "updated": 2, "residents": 1},
    "overhead": {"repeats": 3},
    "recovery": {"injections": 1},
    "rollout": {},
    "security": {},
}
"""Parameters that make trials of an experiment short on the simulated driver, in place of a sample's."""


def trials_of(name: str, hosts: list[str]) -> int:
    campaign, source = load_campaign(SAMPLES / name)
    return len(plan_trials(campaign, plan_cells(campaign, source, CATALOG), hosts))


def simulated_of(name: str, profiles: dict[str, Any]) -> dict[str, Any]:
    """A profile that stands for a driver or profile of a sample; a simulated one keeps its settings."""
    profile = profiles.get(name, {})
    return profile if profile.get("driver") == "simulated" else {"driver": "simulated"}


def cut(path: Path) -> dict[str, Any]:
    """A sample with one block, short trials, and the simulated driver in every driver's place."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    profiles = content.get("profiles", {})
    content["profiles"] = {}
    for entry in content["experiments"]:
        experiment = entry["experiment"]
        if experiment not in CUTS:
            pytest.fail(f"{path.name} uses '{experiment}': say in CUTS how to make a trial of it short")
        entry["params"] = entry.get("params", {}) | CUTS[experiment]
        stand_ins = {f"for-{name}": simulated_of(name, profiles) for name in entry["drivers"]}
        content["profiles"] |= stand_ins
        entry["drivers"] = list(stand_ins)
    return content | {"blocks": 1}


def short_trials(path: Path, host: str, folder: Path) -> tuple[Campaign, tuple[Trial, ...]]:
    short = folder / path.name
    short.write_text(yaml.safe_dump(cut(path)))
    campaign, source = load_campaign(short)
    # Two hosts more, for the experiments of a whole fleet.
    hosts = [host, "other-1", "other-2"]
    trials = plan_trials(campaign, plan_cells(campaign, source, CATALOG), hosts)
    return campaign, tuple(trial for trial in trials if trial.host == host)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_sample_can_be_planned(path: Path) -> None:
    campaign, source = load_campaign(path)
    assert campaign.campaign == path.stem
    assert plan_cells(campaign, source, CATALOG)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_sample_runs_on_simulated_hosts(path: Path, host_settings: HostSettings, tmp_path: Path) -> None:
    campaign, trials = short_trials(path, host_settings.name, tmp_path)
    assert {entry.experiment for entry in campaign.experiments} == {t.experiment for t in trials}
    for trial in trials:
        part = measure(host_settings, trial)
        said = f"{trial.experiment} on {trial.profile} with {trial.params}: {part.record.error_text}"
        assert part.record.outcome == "completed", said
        assert part.record.virtual


def test_every_experiment_has_a_sample() -> None:
    """One that has none would be in no newcomer's sight."""
    used = {entry.experiment for path in PATHS for entry in load_campaign(path)[0].experiments}
    assert used == set(CATALOG.experiments)


def test_the_simulated_driver_can_stand_for_every_driver() -> None:
    """But for addresses, which need something that listens: or samples could not be tried here."""
    offered = {ability for info in CATALOG.drivers.values() for ability in info.offers}
    assert offered - CATALOG.drivers["simulated"].offers <= {Capability.ADDRESS}


def test_quickstart_compares_three_drivers_under_equal_limits() -> None:
    campaign, _ = load_campaign(SAMPLES / "quickstart.yaml")
    assert campaign.experiments[0].drivers == ("process", "docker", "libvirt")
    assert campaign.limits.cpus is not None
    assert campaign.limits.memory_mib is not None


def test_simulated_fleet_has_twenty_trials_per_host() -> None:
    hosts = [f"sim-{n:04}" for n in range(500)]
    assert trials_of("simulated.yaml", hosts) == 500 * 20


def test_lifecycle_fits_the_playground() -> None:
    campaign, _ = load_campaign(SAMPLES / "lifecycle.yaml")
    assert campaign.hosts.names == ("h1", "h2", "h3")
