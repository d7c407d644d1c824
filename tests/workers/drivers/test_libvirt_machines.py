"""Hypervisors that no test machine has: up to the connection, and on libvirt's own mock beyond it.

The mock (test:///default) keeps records and states and runs nothing: it shows that our calls are made in
an order that libvirt takes, not that a hypervisor does what they say.
"""

import asyncio
import subprocess
from pathlib import Path

import pytest
from simulation import instances, measure
from trials import make_trial

from contract.campaign import Limits
from contract.errors import EngineAbsent, EngineError, ImageError
from orchestrator.cli.execution import _absent_engines
from workers import shell
from workers.discover import build_catalog, find_driver
from workers.drivers.base import AnyDriver, InstanceSpec
from workers.engines import machine_calls
from workers.ownership import Owner
from workers.presence import probe_engine
from workers.settings import HostSettings

NAMES = ("libvirt_vbox", "libvirt_vmware", "libvirt_esx")
NEEDS = {"libvirt_vbox": "VBoxManage", "libvirt_vmware": "vmrun", "libvirt_esx": "--libvirt-uri"}
URIS = {
    "libvirt_vbox": "vbox:///session?socket=/nowhere/libvirt-sock",
    "libvirt_vmware": "vmwareplayer:///session",
    "libvirt_esx": "esx://root@127.0.0.1:1/?no_verify=1",
}


@pytest.mark.parametrize("name", NAMES)
def test_doctor_is_told_what_a_hypervisor_needs(name: str, host_settings: HostSettings) -> None:
    found = probe_engine(name, host_settings)
    assert found["present"] is False
    assert NEEDS[name] in found["reason"]


@pytest.mark.libvirt
@pytest.mark.parametrize("name", NAMES)
def test_a_connection_that_fails_says_why_and_what_is_needed(
    name: str, host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("libvirt")
    monkeypatch.setattr(shell, "has_program", lambda _: True)
    host = host_settings.model_copy(update={"libvirt_uri": URIS[name], "engine_deadline_s": 20})
    found = probe_engine(name, host)
    assert found["present"] is False
    scheme = URIS[name].partition(":")[0]
    assert f"{name} at {scheme}:" in found["reason"]
    assert "cannot be reached" in found["reason"]
    assert "it needs" in found["reason"]
    assert "systemctl start libvirtd" not in found["reason"]  # of no use here


@pytest.mark.parametrize("name", NAMES)
def test_they_are_marked_untested_wherever_they_are_listed(name: str) -> None:
    assert "untested" in build_catalog().drivers[name].summary


def on_mock(name: str, host: HostSettings, patch: pytest.MonkeyPatch) -> AnyDriver:
    """The driver on libvirt's mock, whose domains have a type of their own."""
    kind = find_driver(name)
    patch.setattr(shell, "has_program", lambda _: True)
    patch.setattr("workers.drivers.libvirt_base.uri_for", lambda *_: "test:///default")
    plain = machine_calls.define
    patch.setattr(
        machine_calls,
        "define",
        lambda connection, xml: plain(
            connection, xml.replace('type="vbox"', 'type="test"').replace('type="vmware"', 'type="test"')
        ),
    )
    return kind(kind.Settings(), host, Owner(host.name, "machines", host.name[5:] * 4, 1, "boot"))


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """A disk that a firmware would take for one to boot."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 65024)
    return str(path)


@pytest.mark.libvirt
@pytest.mark.parametrize("name", ["libvirt_vbox", "libvirt_vmware"])
def test_a_whole_life_on_the_mock(
    name: str, host_settings: HostSettings, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("libvirt")

    async def whole() -> None:
        driver = on_mock(name, host_settings, monkeypatch)
        try:
            await driver.open()
            assert (await driver.facts())["untested_driver"] is True
            spec = InstanceSpec(
                0, driver.owner.instance_name(0), disk, "n0", Limits(cpus=2, memory_mib=64)
            )
            instance = await driver.create(spec)
            (leftover,) = await driver.leftovers(host_settings.name)
            assert (leftover.driver, leftover.name) == (name, spec.name)
            with pytest.raises(EngineError, match="cannot be made"):
                await driver.create(spec)
            console = await driver.attach(instance)
            await driver.start(instance)
            assert await driver.pid(instance) is None
            await driver.stop(instance, graceful=True)
            console.close()
            assert await driver.remains(instance)
            await driver.sweep(leftover)
            assert await driver.remains(instance) == []
            assert await driver.leftovers(None) == []
            await driver.remove(instance)
        finally:
            await driver.close()

    asyncio.run(whole())


@pytest.mark.libvirt
def test_what_cannot_be_is_refused_and_leaves_nothing(
    host_settings: HostSettings, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("libvirt")

    async def whole() -> None:
        driver = on_mock("libvirt_vbox", host_settings, monkeypatch)
        name = driver.owner.instance_name(0)
        try:
            await driver.open()
            with pytest.raises(ImageError, match="no image 'tiny' for libvirt_vbox"):
                await driver.prepare("tiny")
            with pytest.raises(ImageError, match="give its absolute path"):
                await driver.prepare("disk.raw")
            with pytest.raises(EngineError, match="whole processors only"):
                await driver.create(InstanceSpec(0, name, disk, "n0", Limits(cpus=0.5)))
            assert await driver.leftovers(None) == []
        finally:
            await driver.close()

    asyncio.run(whole())


@pytest.mark.parametrize(
    "bad", ["tiny", "/disk.vmdk", "[store] ../x.vmdk", "[store] x.iso", "store x.vmdk"]
)
def test_disks_of_an_esx_host_have_a_form(bad: str) -> None:
    assert machine_calls.datastore_path("[store 1] debian/debian.vmdk") == (
        "store 1",
        "debian/debian.vmdk",
    )
    assert machine_calls.own_disk("[s] a/b.vmdk", "tonnage-x") == "[s] tonnage-x/tonnage-x.vmdk"
    with pytest.raises(ImageError, match="datastore"):
        machine_calls.datastore_path(bad)


def test_the_process_of_a_machine_is_found_by_its_name() -> None:
    with subprocess.Popen(["sleep", "60.25"]) as process:
        try:
            assert machine_calls.process_of("60.25", ("sleep",)) == process.pid
            assert machine_calls.process_of("60.25", ("vmware-vmx",)) is None
        finally:
            process.kill()


def test_an_esx_host_must_be_named(host_settings: HostSettings) -> None:
    kind = find_driver("libvirt_esx")
    driver = kind(kind.Settings(), host_settings, Owner("h", "c", "a" * 32, 1, "boot"))
    with pytest.raises(EngineAbsent, match="nobody says where it is"):
        asyncio.run(driver.open())


@pytest.mark.libvirt
def test_a_trial_where_nobody_listens_ends_with_the_reason(host_settings: HostSettings) -> None:
    pytest.importorskip("libvirt")
    part = measure(
        host_settings.model_copy(update={"engine_deadline_s": 20}),
        driver="libvirt_esx",
        settings={"uri": URIS["libvirt_esx"]},
        params={"instances": 1, "ready": "started"},
    )
    assert part.record.outcome == "failed"
    assert "libvirt_esx at esx://root@127.0.0.1:1/" in str(part.record.error_text)
    assert {row["outcome"] for row in instances(part)} == {"skipped"}


def test_a_profile_with_a_uri_of_its_own_is_not_judged_by_the_hosts(host_settings: HostSettings) -> None:
    here, elsewhere = (
        make_trial(host=host_settings.name, driver="libvirt_esx", settings=settings)
        for settings in ({}, {"uri": URIS["libvirt_esx"]})
    )
    why_not = _absent_engines(host_settings, (here, elsewhere))
    assert "nobody says where it is" in str(why_not(here))
    assert why_not(elsewhere) is None
