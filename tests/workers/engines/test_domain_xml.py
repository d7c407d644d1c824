"""The domain XML, element by element."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from workers.engines.domain_xml import (
    DirectBoot,
    Domain,
    Machine,
    OverlayDisk,
    domain_xml,
    owner_from_metadata,
    vcpus_for,
)
from workers.ownership import Owner

OWNER = Owner("h1", "first-look", "0123456789abcdef" * 2, 2, "b00t")
MACHINE = Machine("/usr/bin/qemu-system-x86_64", "pc", "tcg", network=None, relabels=True)
DOMAIN = Domain(
    name="tonnage-0123456789ab-2-0",
    uuid="6b8c1d52-7b0e-4a43-9d53-50f5b2a0a001",
    owner=OWNER,
    machine=MACHINE,
    memory_mib=128,
    vcpus=1,
    cpus=None,
    boot=DirectBoot(Path("/s/kernel"), Path("/s/initramfs"), "console=ttyS0 tonnage.nonce=abc"),
    disk=None,
    console=Path("/run/t/c.sock"),
)
DISK = OverlayDisk(Path("/s/o.qcow2"), Path("/s/base.raw"), "raw")


def xml_of(domain: Domain) -> ET.Element:
    return ET.fromstring(domain_xml(domain))  # noqa: S314 - our own


def test_names_memory_and_kernel_are_as_asked() -> None:
    top = xml_of(DOMAIN)
    assert top.get("type") == "qemu"
    assert top.findtext("name") == DOMAIN.name
    assert top.findtext("uuid") == DOMAIN.uuid
    memory = top.find("memory")
    assert memory is not None
    assert (memory.get("unit"), memory.text) == ("MiB", "128")
    assert top.findtext("os/kernel") == "/s/kernel"
    assert top.findtext("os/initrd") == "/s/initramfs"
    assert top.findtext("os/cmdline") == "console=ttyS0 tonnage.nonce=abc"
    assert top.find("os/boot") is None
    assert top.find("devices/disk") is None
    assert top.find("devices/interface") is None


def test_nothing_revives_a_domain() -> None:
    top = xml_of(DOMAIN)
    assert {top.findtext(f"on_{event}") for event in ("poweroff", "reboot", "crash")} == {"destroy"}


def test_qemu_calls_our_socket() -> None:
    source = xml_of(DOMAIN).find("devices/serial[@type='unix']/source")
    assert source is not None
    assert source.attrib == {"mode": "connect", "path": "/run/t/c.sock"}


def test_kvm_takes_the_cpu_of_the_host() -> None:
    top = xml_of(replace(DOMAIN, machine=replace(MACHINE, accelerator="kvm")))
    assert top.get("type") == "kvm"
    cpu = top.find("cpu")
    assert cpu is not None
    assert cpu.get("mode") == "host-passthrough"
    assert xml_of(DOMAIN).find("cpu") is None


@pytest.mark.parametrize(("cpus", "quota"), [(0.5, "50000"), (2.0, "200000"), (0.001, "1000")])
def test_the_cpu_limit_covers_all_of_qemu(cpus: float, quota: str) -> None:
    tune = xml_of(replace(DOMAIN, cpus=cpus)).find("cputune")
    assert tune is not None
    assert tune.findtext("global_period") == "100000"
    assert tune.findtext("global_quota") == quota
    assert xml_of(DOMAIN).find("cputune") is None


@pytest.mark.parametrize(("cpus", "vcpus"), [(0.1, 1), (1.0, 1), (1.5, 2), (4.0, 4)])
def test_enough_virtual_cpus_for_the_limit(cpus: float, vcpus: int) -> None:
    assert vcpus_for(cpus) == vcpus


def test_disk_spells_out_its_base_and_keeps_libvirt_off_it() -> None:
    disk = xml_of(replace(DOMAIN, disk=DISK)).find("devices/disk")
    assert disk is not None
    driver, source = disk.find("driver"), disk.find("source")
    assert driver is not None
    assert driver.get("type") == "qcow2"
    assert source is not None
    assert source.get("file") == "/s/o.qcow2"
    base = disk.find("backingStore")
    assert base is not None
    form, file = base.find("format"), base.find("source")
    assert form is not None
    assert form.get("type") == "raw"
    assert file is not None
    assert file.get("file") == "/s/base.raw"
    label = file.find("seclabel")
    assert label is not None
    assert label.attrib == {"model": "dac", "relabel": "no"}
    assert base.find("backingStore") is not None


def test_no_security_label_where_libvirt_has_none() -> None:
    machine = replace(MACHINE, relabels=False)
    assert xml_of(replace(DOMAIN, disk=DISK, machine=machine)).find(".//seclabel") is None


def test_qemus_user_is_a_number_of_the_profile() -> None:
    assert xml_of(DOMAIN).find("seclabel") is None
    label = xml_of(replace(DOMAIN, user="64055:100")).find("seclabel")
    assert label is not None
    assert label.attrib == {"type": "static", "model": "dac", "relabel": "yes"}
    assert label.findtext("label") == "+64055:+100"


def test_without_a_kernel_the_firmware_boots_the_disk() -> None:
    top = xml_of(replace(DOMAIN, boot=None, disk=DISK))
    assert top.find("os/kernel") is None
    boot = top.find("os/boot")
    assert boot is not None
    assert boot.get("dev") == "hd"


def test_network_is_named() -> None:
    source = xml_of(replace(DOMAIN, machine=replace(MACHINE, network="default"))).find(
        "devices/interface[@type='network']/source"
    )
    assert source is not None
    assert source.get("network") == "default"


def test_the_owner_comes_back_from_the_metadata() -> None:
    metadata = xml_of(DOMAIN).find("metadata")
    assert metadata is not None
    assert owner_from_metadata(ET.tostring(metadata[0], encoding="unicode")) == OWNER
    # As libvirt gives it back: without our prefix.
    labels = " ".join(f'{key}="{value}"' for key, value in OWNER.labels().items())
    assert owner_from_metadata(f"<owner {labels}/>") == OWNER


@pytest.mark.parametrize("foreign", ["", "<owner/>", "<owner tonnage.host='h'/>", "no xml"])
def test_foreign_metadata_is_nobody_of_ours(foreign: str) -> None:
    assert owner_from_metadata(foreign) is None


def test_text_cannot_become_structure() -> None:
    hostile = "</cmdline><devices/>&"
    top = xml_of(replace(DOMAIN, boot=DirectBoot(Path("/k"), Path("/i"), hostile)))
    assert top.findtext("os/cmdline") == hostile
    assert len(top.findall("devices")) == 1
