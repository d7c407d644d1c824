"""XML of hypervisors other than QEMU, against libvirt's own schema where that is installed."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from workers.discover import find_driver
from workers.drivers.libvirt_machines import MachineDriver
from workers.engines.hypervisors import lxc
from workers.engines.hypervisors.lxc import ContainerDomain, container_xml
from workers.engines.hypervisors.machines import MachineDomain, machine_xml
from workers.ownership import Owner

OWNER = Owner("h1", "c1", "a" * 32, 1, "boot")
UUID = "11111111-2222-4333-8444-555555555555"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
MACHINES = ("libvirt_vbox", "libvirt_vmware", "libvirt_esx")


def container(**changes: Any) -> ContainerDomain:
    given: dict[str, Any] = {
        "name": OWNER.instance_name(0),
        "uuid": UUID,
        "owner": OWNER,
        "emulator": "/usr/lib/libvirt/libvirt_lxc",
        "root": Path("/var/lib/tonnage/libvirt_lxc/h1/x"),
        "command": ["/bin/busybox", "sh", "/agent.sh"],
        "environment": {"TONNAGE_NONCE": "n0", "PATH": "/bin"},
        "memory_mib": 128,
        "without_swap": True,
        "cpus": 0.5,
        "network": None,
    }
    return ContainerDomain(**given | changes)


def machine(name: str, **changes: Any) -> str:
    kind = find_driver(name)
    assert issubclass(kind, MachineDriver)
    given: dict[str, Any] = {
        "name": OWNER.instance_name(0),
        "uuid": UUID,
        "memory_mib": 512,
        "vcpus": 2,
        "disk": "/disks/x.vdi" if kind.kind.disk_format else "[store1] x/x.vmdk",
        "console": Path("/run/x.sock") if kind.kind.disk_format else None,
        "network": None,
    }
    return machine_xml(kind.kind, MachineDomain(**given | changes))


def parsed(xml: str) -> Element:
    return fromstring(xml)  # noqa: S314 - our own XML


def is_valid(xml: str, tmp_path: Path) -> bool:
    if shutil.which("xmllint") is None or not SCHEMA.exists():
        why = "no xmllint, or no libvirt with its schemas: install libxml2-utils and libvirt-daemon"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    path = tmp_path / "domain.xml"
    path.write_text(xml)
    checked = subprocess.run(
        ["xmllint", "--noout", "--relaxng", str(SCHEMA), str(path)], capture_output=True, text=True
    )
    return checked.returncode == 0


@pytest.mark.libvirt
@pytest.mark.parametrize(
    "changes",
    [{}, {"cpus": None, "without_swap": False}, {"network": "default"}],
    ids=["limits", "none", "network"],
)
def test_xml_of_a_container_is_as_libvirt_wants_it(changes: dict[str, Any], tmp_path: Path) -> None:
    assert is_valid(container_xml(container(**changes)), tmp_path)


@pytest.mark.libvirt
@pytest.mark.parametrize("network", [None, "net1"])
@pytest.mark.parametrize("name", MACHINES)
def test_xml_of_a_machine_is_as_libvirt_wants_it(name: str, network: str | None, tmp_path: Path) -> None:
    assert is_valid(machine(name, network=network), tmp_path)


@pytest.mark.libvirt
def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    assert not is_valid(
        container_xml(container()).replace("<os>", "<ose>").replace("</os>", "</ose>"), tmp_path
    )


def test_a_container_runs_the_agent_in_a_root_of_its_own() -> None:
    top = parsed(container_xml(container()))
    assert top.get("type") == "lxc"
    assert [top.findtext("os/init"), *(arg.text for arg in top.iterfind("os/initarg"))] == [
        "/bin/busybox",
        "sh",
        "/agent.sh",
    ]
    nonce = top.find("os/initenv[@name='TONNAGE_NONCE']")
    assert nonce is not None
    assert nonce.text == "n0"
    source = top.find("devices/filesystem/source")
    assert source is not None
    assert source.get("dir") == "/var/lib/tonnage/libvirt_lxc/h1/x"
    assert top.find("features/privnet") is not None  # or it would share the host's network
    assert top.findtext("cputune/quota") == "50000"
    assert top.findtext("memtune/swap_hard_limit") == "128"


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_boots_a_disk_and_nobody_revives_it(name: str) -> None:
    top = parsed(machine(name))
    assert top.get("type") == {"libvirt_vbox": "vbox"}.get(name, "vmware")
    assert top.find("os/boot[@dev='hd']") is not None
    assert top.find("devices/disk/source").get("file")  # type: ignore[union-attr]
    assert {top.findtext(event) for event in ("on_poweroff", "on_reboot", "on_crash")} == {"destroy"}
    assert (top.find("devices/serial") is None) == (name == "libvirt_esx")


def test_text_cannot_become_structure() -> None:
    top = parsed(container_xml(container(command=["/a</init><init>/b"], network="x'/><y")))
    assert [init.text for init in top.iterfind("os/init")] == ["/a</init><init>/b"]


def test_mixed_control_groups_are_an_obstacle(tmp_path: Path) -> None:
    version1 = "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    version2 = f"31 20 0:27 / {tmp_path} rw - cgroup2 cgroup rw\n"
    controllers = tmp_path / "cgroup.controllers"
    controllers.write_text("hugetlb\n")
    said = lxc.obstacle(version1 + version2)
    assert said is not None
    assert str(tmp_path) in said
    assert lxc.obstacle(version2) is None  # version 2 alone
    assert lxc.obstacle(version1) is None
    controllers.write_text("\n")  # nothing is left to it: systemd's own use
    assert lxc.obstacle(version1 + version2) is None


CAPABILITIES = """<capabilities><guest><os_type>exe</os_type><arch name="x86_64">
<emulator>/usr/lib/libvirt/libvirt_lxc</emulator><domain type="lxc"/></arch></guest></capabilities>"""


def test_what_holds_a_container_is_in_the_capabilities() -> None:
    assert lxc.emulator_of(CAPABILITIES) == "/usr/lib/libvirt/libvirt_lxc"
    assert lxc.emulator_of("<capabilities/>") is None


def test_a_console_is_there_while_a_container_runs() -> None:
    xml = "<domain><devices><console type='pty'>{}</console></devices></domain>"
    assert lxc.console_of(xml.format("<source path='/dev/pts/7'/>")) == Path("/dev/pts/7")
    assert lxc.console_of(xml.format("")) is None
