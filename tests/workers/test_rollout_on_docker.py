"""rollout on a real engine and a real registry: one host, since one engine is one host."""

from typing import Any

import pytest
from engines import DockerEngine
from simulation import instances, measure

from workers.settings import HostSettings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


def test_an_image_arrives_from_the_registry(
    docker_engine: DockerEngine, registry: str, host_settings: HostSettings
) -> None:
    changes = {"docker_socket": docker_engine.socket, "registry": registry}
    host = host_settings.model_copy(update=changes)
    asked: dict[str, Any] = {"driver": "docker", "params": {"size_mib": 2, "layers": 2}}
    part = measure(host, experiment="rollout", group=(host.name,), deadline_s=200.0, **asked)
    assert part.record.outcome == "completed", part.record.error_text
    (row,) = instances(part)
    assert (row["outcome"], row["error_text"]) == ("ok", None)
    stamps = [row[f"t_{step}"] for step in ("intent", "pull", "pulled", "unpacked", "call", "ready")]
    assert stamps == sorted(stamps)
    found = {s["metric"]: s["value"] for s in part.tables["samples"].to_pylist()}
    assert found["rollout.bytes_wire"] > 1 << 20
    assert found["rollout.layers_pulled"] >= 2
    assert found["rollout.clock_error"] == 0
    assert part.record.facts["findings"]["rollout"]["hosts"] == [host.name]
