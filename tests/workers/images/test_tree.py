"""A folder as every driver's image: the same files and agent in process, container and guest."""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from engines import DockerEngine
from simulation import instances, measure

import workers.run
from contract.errors import ImageError
from contract.parts import Part
from workers.images import tiny
from workers.images.tree import is_tree, read_tree, write_archive
from workers.settings import HostSettings

SIZE = 12345
PARAMS = {
    "work": "command",
    "command": "sh -c 'cat /etc/size; echo $PATH >&2; cd /tmp; echo x >written'",
    "pattern": "([0-9]+)",
    "unit": "bytes",
    "better": "lower",
    "repeats": 1,
    "warm_ups": 0,
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A userland of one busybox, which is not where the agent's own is."""
    folder = tmp_path_factory.mktemp("image")
    rootfs = folder / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "tonnage", "work"):
        (rootfs / name).mkdir(parents=True)
    for name in ("tmp", "work"):
        (rootfs / name).chmod(0o1777)
    shutil.copy(tiny.find_busybox(), rootfs / "bin/busybox")
    for applet in ("sh", "cat"):
        (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc/size").write_text(f"{SIZE}\n")
    digest = os.urandom(16).hex()
    (folder / "tonnage-image.json").write_text(json.dumps({"digest": digest}))
    return str(folder)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests keep the host busy: nothing here is about waiting for their end."""
    monkeypatch.setattr(workers.run, "QUIET_PROBE_S", 0.01)
    monkeypatch.setattr(workers.run, "QUIET_WAIT_S", 0.0)


def run(host: HostSettings, driver: str, image: str, **settings: Any) -> Part:
    part = measure(
        host,
        experiment="overhead",
        driver=driver,
        image=image,
        params=PARAMS,
        settings=settings,
        limits={"memory_mib": 128},
        deadline_s=300.0,
    )
    assert part.record.outcome == "completed", part.record.error_text
    return part


def reported(part: Part) -> list[float]:
    rows = part.tables["samples"].to_pylist()
    return [row["value"] for row in rows if row["metric"] == "overhead.reported"]


def test_only_a_folder_that_was_made_for_it_is_an_image(tmp_path: Path) -> None:
    assert is_tree(str(tmp_path))
    assert not is_tree("tiny")
    assert not is_tree(str(tmp_path / "absent"))
    with pytest.raises(ImageError, match=r"is no image.*debian-image.sh"):
        read_tree(str(tmp_path))
    (tmp_path / "tonnage-image.json").write_text('{"digest": 1}')
    with pytest.raises(ImageError, match="it has no digest"):
        read_tree(str(tmp_path))
    (tmp_path / "tonnage-image.json").write_text('{"digest": "abc"}')
    with pytest.raises(ImageError, match="lacks the folder 'tonnage'"):
        read_tree(str(tmp_path))


def test_the_agent_comes_into_the_archive(image: str, tmp_path: Path) -> None:
    with (tmp_path / "packed.tar").open("wb") as packed:
        write_archive(read_tree(image), packed)
    with tarfile.open(tmp_path / "packed.tar") as archive:
        names = archive.getnames()
        agent = archive.extractfile("./tonnage/agent.sh")
        assert agent is not None
        assert agent.read() == next(e.content for e in tiny.entries() if e.path == "agent.sh")
    assert {"./etc/size", "./tonnage/bin/busybox", "./tonnage/bin/dd"} <= set(names)


def test_processes_have_it_as_their_root(image: str, host_settings: HostSettings) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounts need root")
    part = run(host_settings, "process", image)
    assert reported(part) == [SIZE]
    assert part.record.facts["image"]["digest"] == read_tree(image).digest
    assert image not in Path("/proc/self/mountinfo").read_text()
    assert not (Path(image) / "rootfs/tmp/written").exists()
    assert list((Path(image) / "rootfs/tonnage").iterdir()) == []


@pytest.mark.docker
def test_containers_have_it(
    image: str, docker_engine: DockerEngine, host_settings: HostSettings
) -> None:
    host = host_settings.model_copy(update={"docker_socket": docker_engine.socket})
    assert reported(run(host, "docker", image)) == [SIZE]


@pytest.mark.libvirt
@pytest.mark.timeout(240)
def test_guests_have_it(
    image: str, libvirt_engine: str, host_settings: HostSettings, shared_state_dir: Path
) -> None:
    update = {"libvirt_uri": libvirt_engine, "state_dir": shared_state_dir}
    part = run(host_settings.model_copy(update=update), "libvirt", image, accel="tcg")
    assert reported(part) == [SIZE]
    assert instances(part)[0]["guest_uptime_ns"] > 0
