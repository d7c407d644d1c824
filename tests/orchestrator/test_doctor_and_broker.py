"""What doctor says of a broker: one that answers, but through a network that others can read."""

from pathlib import Path

import pytest

from orchestrator.cli.doctor import Finding, examine
from workers.settings import HostSettings


def of_broker(tmp_path: Path, url: str) -> Finding:
    host = HostSettings(
        name="h1",
        state_dir=tmp_path,
        docker_socket=tmp_path / "docker",
        podman_socket=tmp_path / "podman",
        libvirt_uri="qemu:///system?socket=/nowhere",
    )
    (found,) = (finding for finding in examine(host, url) if finding.what == "broker")
    return found


@pytest.mark.redis
def test_a_broker_in_the_clear_is_not_well(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_broker(tmp_path, redis_url).fine
    monkeypatch.setattr("contract.broker_urls._is_loopback", lambda _: False)
    found = of_broker(tmp_path, redis_url)
    assert not found.fine
    assert "in the clear: use rediss://" in found.text
