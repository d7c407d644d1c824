"""The sample campaigns are what newcomers copy: each must be one that can be planned."""

from pathlib import Path

import pytest

from contract.campaign import load_campaign
from orchestrator.plan import plan_cells, plan_trials
from workers.discover import build_catalog

SAMPLES = Path(__file__).parents[2] / "deploy" / "campaigns"


def trials_of(name: str, hosts: list[str]) -> int:
    campaign, source = load_campaign(SAMPLES / name)
    return len(plan_trials(campaign, plan_cells(campaign, source, build_catalog()), hosts))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_sample_can_be_planned(path: Path) -> None:
    campaign, source = load_campaign(path)
    assert campaign.campaign == path.stem
    assert plan_cells(campaign, source, build_catalog())


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
