"""A rig of every driver that a test machine can have."""

from pathlib import Path
from typing import Any

import pytest
from contract_rig import RUNNABLE, Rig, of_driver

from workers.discover import find_driver
from workers.settings import HostSettings


@pytest.fixture(params=map(of_driver, RUNNABLE))
def rig(request: pytest.FixtureRequest, host_settings: HostSettings, shared_state_dir: Path) -> Rig:
    engine: dict[str, Any] = {"state_dir": shared_state_dir}
    if request.param == "docker":
        engine["docker_socket"] = request.getfixturevalue("docker_engine").socket
    if request.param == "podman":
        engine["podman_socket"] = request.getfixturevalue("podman_engine").socket
    if request.param.startswith("libvirt"):
        qemu = request.getfixturevalue("libvirt_engine")
        engine["libvirt_uri"] = f"{qemu} {qemu.replace('qemu:///system', 'lxc:///')}"
    return Rig(find_driver(request.param), host_settings.model_copy(update=engine))
