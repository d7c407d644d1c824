"""What doctor finds, on a host that is made to look otherwise than this one."""

from pathlib import Path

import pytest
import redis

from orchestrator.cli.findings import host as of_the_host
from orchestrator.cli.findings.broker import of_broker
from orchestrator.cli.findings.host import of_host
from orchestrator.cli.findings.settings import Setting, of_settings
from workers.host import host_facts
from workers.settings import HostSettings


def of(host: HostSettings) -> dict[str, tuple[bool, str]]:
    return {finding.what: (finding.fine, finding.text + finding.advice) for finding in of_host(host)}


def test_a_state_folder_that_cannot_be_is_found(tmp_path: Path, host_settings: HostSettings) -> None:
    (tmp_path / "file").write_text("")
    fine, said = of(host_settings.model_copy(update={"state_dir": tmp_path / "file/x"}))["state folder"]
    assert not fine
    assert "--state-dir" in said


def test_a_run_folder_too_long_for_sockets_is_found(host_settings: HostSettings) -> None:
    fine, said = of(host_settings.model_copy(update={"run_dir": Path("/run/" + "x" * 80)}))["run folder"]
    assert not fine
    assert "--run-dir" in said


def test_an_unsteady_host_is_found(host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = host_facts() | {"cpu_governor": "powersave", "swap_bytes": 2**30}
    monkeypatch.setattr(of_the_host, "host_facts", lambda: facts)
    monkeypatch.setattr(of_the_host, "MIN_FREE_DISK_BYTES", 2**60)
    monkeypatch.setattr(of_the_host, "MIN_AVAILABLE_MEMORY_BYTES", 2**60)
    found = of(host_settings)
    for what, advice in {
        "governor": "frequency-set -g performance",
        "swap": "swapoff",
        "state folder": "make room",
        "memory": "stop what else runs here",
    }.items():
        fine, said = found[what]
        assert not fine, what
        assert advice in said


def test_whatever_the_clock_is_it_is_said(host_settings: HostSettings) -> None:
    assert "synchronised" in of(host_settings)["clock"][1]


@pytest.mark.parametrize(("mode", "fine"), [(0o600, True), (0o640, True), (0o644, False)])
def test_a_key_that_everybody_can_read_is_found(tmp_path: Path, mode: int, fine: bool) -> None:
    key = tmp_path / "h1.key"
    key.write_text("00")
    key.chmod(mode)
    for value in (key, tmp_path):
        (finding,) = of_settings([Setting("key", str(value), "--key")])
        assert finding.fine is fine


def test_a_key_that_is_not_there_is_found(tmp_path: Path) -> None:
    (finding,) = of_settings([Setting("key", str(tmp_path / "none"), "--key")])
    assert not finding.fine


def test_a_broker_that_does_not_answer_is_found() -> None:
    (finding,) = of_broker("redis://user:s3cret@127.0.0.1:1/0")
    assert not finding.fine
    assert "s3cret" not in finding.text


@pytest.mark.redis
def test_a_broker_that_forgets_is_found(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        found = {finding.what: finding.fine for finding in of_broker(redis_url)}
        assert found == {"broker": True, "encryption": True, "eviction": True}
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert not {finding.what: finding.fine for finding in of_broker(redis_url)}["eviction"]
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")


@pytest.mark.redis
def test_a_broker_in_the_clear_is_not_well(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract.broker_urls._is_loopback", lambda _: False)
    found = {finding.what: finding for finding in of_broker(redis_url)}["encryption"]
    assert not found.fine
    assert "in the clear: use rediss://" in found.text
