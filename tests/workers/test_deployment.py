"""deployment on the simulated driver: stamps, bytes by layers, failures as rows."""

from typing import Any

import pytest
from simulation import instances, measure

from contract.parts import Part
from workers.engines.simulated_deployment import MANIFEST_BYTES
from workers.images.payload import CHANGE_BYTES, MIB
from workers.settings import HostSettings


def deploy(host: HostSettings, **params: Any) -> Part:
    return measure(host, experiment="deployment", params={"deployments": 2, "size_mib": 8} | params)


def samples(part: Part, metric: str) -> list[float]:
    return [s["value"] for s in part.tables["samples"].to_pylist() if s["metric"] == metric]


@pytest.mark.parametrize(
    ("cache", "wire", "layers"),
    [
        ("image_cold", MANIFEST_BYTES + 4 * MIB + CHANGE_BYTES, 5),
        ("base_cached", MANIFEST_BYTES + CHANGE_BYTES, 1),
        ("page_cold", MANIFEST_BYTES, 0),
        ("warm", MANIFEST_BYTES, 0),
    ],
)
def test_bytes_are_those_of_the_layers_that_came(
    host_settings: HostSettings, cache: str, wire: int, layers: int
) -> None:
    part = deploy(host_settings, cache=cache)
    assert part.record.outcome == "completed", part.record.error_text
    assert samples(part, "deployment.bytes_wire") == [wire] * 2
    assert samples(part, "deployment.layers_pulled") == [layers] * 2
    assert len(samples(part, "deployment.push")) == 1
    steps = ("intent", "pull", "pulled", "unpacked", "call", "created", "started", "beacon", "ready")
    for row in instances(part):
        stamps = [row[f"t_{step}"] for step in steps]
        assert None not in stamps
        assert stamps == sorted(stamps)


def test_a_pull_past_its_deadline_is_a_timeout(host_settings: HostSettings) -> None:
    part = deploy(host_settings, pull_deadline_s=0.001)
    assert {(r["outcome"], r["error_class"]) for r in instances(part)} == {("timeout", "engine_timeout")}


def test_an_image_of_ones_own_is_refused(host_settings: HostSettings) -> None:
    part = measure(host_settings, experiment="deployment", params={}, image="nginx")
    assert (part.record.outcome, part.record.error_class) == ("failed", "image")
