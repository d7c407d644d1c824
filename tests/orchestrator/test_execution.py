"""What a run on the fleet plans for: hosts that are alive, and hosts that were there before."""

import json
from pathlib import Path
from typing import Any

import pytest
from fleet import Broker, Process, own_broker
from trials import make_part

from contract.campaign import load_campaign
from orchestrator.plan import plan_cells, plan_trials
from orchestrator.results import Results
from workers.discover import build_catalog
from workers.presence import Presence
from workers.service import WorkerConfig
from workers.settings import HostSettings

pytestmark = pytest.mark.redis

CAMPAIGN = """\
campaign: sample
blocks: 2
hosts: {hosts}
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {{instances: 3}}
"""


def register(broker: Broker, folder: Path, *names: str) -> Presence:
    """Hosts that are alive until their presence ends; nobody measures anything there."""
    hosts = tuple(HostSettings(name=name, state_dir=folder, run_dir=folder) for name in names)
    presence = Presence(WorkerConfig(broker=broker.url, hosts=hosts, boot=names[0], simulated=True))
    presence.begin({"simulated": {"present": True}})
    return presence


def measured_before(folder: Path, hosts: str, *names: str) -> Results:
    """A results folder in which every trial of the named hosts has its part."""
    path = folder / "c.yaml"
    path.write_text(CAMPAIGN.format(hosts=hosts))
    campaign, source = load_campaign(path)
    trials = plan_trials(campaign, plan_cells(campaign, source, build_catalog()), list(names))
    results = Results(folder / "results")
    results.parts.mkdir(parents=True)
    results.freeze(path.read_text(), trials)
    for trial in trials:
        packed = make_part(trial)
        results.store(packed.name, packed.data)
    return results


def run(folder: Path, broker: Broker) -> tuple[int, str, dict[str, Any]]:
    """Exit code, output and manifest of a run."""
    results = folder / "results"
    options = ["--broker", broker.url, "--results", str(results), "--patience", "1", "--no-report"]
    process = Process(folder / "log", "run", str(folder / "c.yaml"), *options)
    code = process.wait()
    manifest = results / "dataset" / "manifest.json"
    return code, process.said(), json.loads(manifest.read_text()) if manifest.exists() else {}


def test_a_host_that_has_gone_keeps_its_results_and_loses_what_is_missing(tmp_path: Path) -> None:
    results = measured_before(tmp_path, "all", "h1", "h2")
    missing = next(trial for trial in results.planned() if trial.host == "h2")
    (results.parts / f"{missing.trial_id}.1.part").unlink()
    with own_broker() as broker:
        alive = register(broker, tmp_path, "h1")
        register(broker, tmp_path, "h2").end()
        register(broker, tmp_path, "h3").end()  # was never part of this campaign
        try:
            code, said, manifest = run(tmp_path, broker)
        finally:
            alive.end()
    assert code == 3, said
    assert "host h2 has no heartbeat; waiting 1 s for it" in said
    assert manifest["hosts"] == ["h1", "h2"]
    assert manifest["outcomes"] == {"completed": 3, "lost": 1}


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        ("[h1, h9]", "no such host: h9; hosts that are alive: h1"),
        ("{labels: {rack: a}}", "the campaign's 'hosts' selects none; hosts that are alive: h1"),
    ],
)
def test_hosts_that_are_not_there_are_a_bad_campaign(tmp_path: Path, hosts: str, complaint: str) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN.format(hosts=hosts))
    with own_broker() as broker:
        alive = register(broker, tmp_path, "h1")
        try:
            code, said, manifest = run(tmp_path, broker)
        finally:
            alive.end()
    assert (code, manifest) == (2, {}), said
    assert complaint in said


def test_an_empty_broker_is_a_bad_campaign(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN.format(hosts="all"))
    with own_broker() as broker:
        code, said, _ = run(tmp_path, broker)
    assert code == 2
    assert "hosts that are alive: none" in said
