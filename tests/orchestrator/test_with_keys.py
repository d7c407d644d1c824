"""The command line with keys: who is chosen, who is left out, and what is said of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Broker, alive, own_broker, running, wait_until
from trials import make_part, make_trial
from typer.testing import CliRunner

from contract import wire
from contract.campaign import load_campaign
from contract.errors import MessageError, TonnageError
from contract.refusals import record_refusal, refusal_of
from contract.shared_parts import shared_parts
from contract.signing import Keys, make_keys
from orchestrator.cli import app
from orchestrator.cli.execution import Execution
from orchestrator.results import Results
from workers.presence import Presence
from workers.service import WorkerConfig
from workers.settings import HostSettings

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("hosts h1, h2, h3")]

CAMPAIGN = """\
campaign: keyed
hosts: {hosts}
blocks: 1
experiments:
  - experiment: lifecycle
    drivers: [simulated]
    params: {{instances: 1, concurrency: 1}}
"""


def call(*words: str) -> tuple[int, str]:
    """A command in this process: exit code, and all that it prints."""
    result = CliRunner().invoke(app, words)
    error = result.exception if isinstance(result.exception, TonnageError) else ""
    return result.exit_code, f"{result.output}{error}"


class Bed:
    """``sim-0001`` has a key and a worker; ``plain`` is registered, has no key, and is mute."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder, self.broker = folder, broker
        self.keys = folder / "keys"
        make_keys(self.keys, ["sim-0001", "plain"])
        host = HostSettings(name="plain", state_dir=folder, run_dir=folder)
        config = WorkerConfig(broker=broker.url, hosts=(host,), boot="b", simulated=True)
        self.plain = Presence(config)
        self.plain.begin({"simulated": {"present": True}})

    def call(self, *words: str, keys: bool = True) -> tuple[int, str]:
        with_keys = ["--keys", str(self.keys)] if keys else []
        return call(*words, "--broker", self.broker.url, *with_keys)

    def run(self, hosts: str, *, keys: bool = True) -> tuple[int, str]:
        file = self.folder / "c.yaml"
        file.write_text(CAMPAIGN.format(hosts=hosts))
        return self.call("run", str(file), "--results", str(self.folder / "results"), keys=keys)


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with own_broker() as broker:
        made = Bed(tmp_path, broker)
        words = ["worker", "--simulate", "1", "--state-dir", str(tmp_path / "s"), "--broker", broker.url]
        try:
            with running(tmp_path / "worker.log", *words, "--key", str(made.keys)):
                wait_until(lambda: len(alive(broker.url)) == 2, "both are alive")
                yield made
        finally:
            made.plain.end()


def test_hosts_that_do_not_sign_are_left_out_and_named(bed: Bed) -> None:
    code, said = bed.run("all", keys=False)
    assert (code, "hosts that take signed orders only: sim-0001; name the folder" in said) == (
        1,
        True,
    ), said
    code, said = bed.run("[plain]")
    assert code == 1
    assert "cannot have its hosts. host 'plain': its registration is not believed: not signed" in said
    code, said = bed.run("all")
    assert code == 0, said
    assert "left out: host plain, its registration is not believed: not signed" in said
    assert "1 completed" in said

    code, said = bed.call("sweep", "--fleet", "--dry-run", keys=False)
    assert (code, "takes signed orders only; name the folder of the keys" in said) == (1, True)
    code, said = bed.call("sweep", "--fleet", "--dry-run")
    assert code == 1
    assert "0 leftovers on 1 host\nnot swept: plain: its registration is not believed" in said

    _, said = bed.call("hosts")
    states = {line.split()[0]: line.split()[1] for line in said.splitlines()[1:3]}
    assert states == {"plain": "unsigned", "sim-0001": "idle"}
    assert "plain: its registration is not believed" in said
    assert bed.call("hosts", "--refused")[1] == "no message was refused\n"
    client = bed.broker.client()
    refusal = refusal_of(MessageError("because", cause="altered"), "sim-0001")
    record_refusal(client, refusal, Keys(bed.keys).of("sim-0001"))
    record_refusal(client, refusal, Keys(bed.keys).of("plain"))
    record_refusal(client, refusal)
    _, said = bed.call("hosts", "--refused")
    assert [line.split()[4:6] for line in said.splitlines()[1:]] == [
        [word, "altered"] for word in ("signed", "forged", "unsigned")
    ]
    assert '"cause": "altered"' in bed.call("hosts", "--refused", "--json")[1]
    assert client.xlen(wire.REFUSED) == 3


def test_keys_are_made_and_listed(tmp_path: Path) -> None:
    folder = ["--dir", str(tmp_path / "keys")]
    assert call("keys", "make", "h1", *folder)[1] == f"{tmp_path}/keys/h1.key\n"
    code, said = call("keys", "make", "h1", *folder)
    assert (code, "is there already; --replace makes another in its place" in said) == (1, True)
    assert (
        call("keys", "make", "../h1", *folder)[0]
        == call("keys", "make", *folder)[0]
        == call("keys", "list", "h1", *folder)[0]
        == 1
    )
    fingerprint = Keys(tmp_path / "keys").of("h1").fingerprint
    assert call("keys", "list", *folder)[1].split() == ["HOST", "FINGERPRINT", "h1", fingerprint]


@pytest.mark.parametrize("with_keys", [False, True])
def test_parts_in_a_shared_place_are_believed_without_keys_only(tmp_path: Path, with_keys: bool) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN.format(hosts="all") + f"results: {tmp_path}/place\n")
    campaign, _ = load_campaign(tmp_path / "c.yaml")
    make_keys(tmp_path / "keys", ["h1"])
    part = make_part(make_trial(campaign="keyed"))
    shared_parts(campaign.results, "keyed").put(part.name, part.data)
    results = Results(tmp_path / "results")
    results.parts.mkdir(parents=True)
    execution = Execution(campaign, "", (), results.folder, "")
    execution.keys = Keys(tmp_path / "keys") if with_keys else None
    execution._fetch_from_place(results, (make_trial(campaign="keyed"),))
    assert bool(results.attempts()) is not with_keys
