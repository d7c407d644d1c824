"""Which URIs of libvirt are taken, whose each is, and what is said of all others."""

import pytest

from contract.errors import UseError
from orchestrator.cli.options import host_settings
from workers.discover import build_catalog
from workers.libvirt_uris import HYPERVISORS, driver_of, own_uri, uri_for

URIS = {
    "qemu:///system": "libvirt",
    "qemu:///system?socket=/run/x/libvirt-sock": "libvirt",
    "qemu:///embed?root=/tmp/x": "libvirt",
    "lxc:///": "libvirt_lxc",
    "lxc:///?socket=/run/x/libvirt-sock": "libvirt_lxc",
    "vbox:///session": "libvirt_vbox",
    "vmwareplayer:///session": "libvirt_vmware",
    "vmwarews:///session": "libvirt_vmware",
    "esx://root@esx.example/?no_verify=1": "libvirt_esx",
    "esx://esx.example": "libvirt_esx",
    "vpx://root@vcenter.example/dc1/esx.example/?no_verify=1": "libvirt_esx",
}
"""Each with the driver that it belongs to."""
OTHERS = (
    "",
    "xen:///",
    "qemu+ssh://elsewhere/system",
    "vbox:///system",
    "esx://",
    "esx:///",
    "vpx://h/",
)


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_belongs_to_one_driver(uri: str) -> None:
    assert driver_of(uri) == URIS[uri]
    assert own_uri(URIS[uri], uri) == uri
    assert URIS[uri] in build_catalog().drivers


@pytest.mark.parametrize("uri", OTHERS)
def test_others_are_refused_with_a_list_of_what_is_taken(uri: str) -> None:
    assert driver_of(uri) is None
    with pytest.raises(ValueError, match=r"qemu:///system .*lxc:/// .*vbox:.*vmware.*esx:"):
        own_uri("libvirt", uri)
    with pytest.raises(UseError, match=r"--libvirt-uri: found .*allowed: one of qemu:///system .*esx:"):
        host_settings(libvirt_uri=uri)


def test_one_that_belongs_to_another_driver_says_whose_it_is() -> None:
    with pytest.raises(ValueError, match="belongs to driver 'libvirt_vbox'"):
        own_uri("libvirt_lxc", "vbox:///session")


def test_a_host_may_name_several_and_keeps_the_rest_where_it_usually_is() -> None:
    said = host_settings(libvirt_uri="lxc:///?socket=/s esx://h/").libvirt_uri
    assert uri_for("libvirt_lxc", said) == "lxc:///?socket=/s"
    assert uri_for("libvirt_esx", said) == "esx://h/"
    assert uri_for("libvirt", said) == "qemu:///system"
    assert uri_for("libvirt_esx", "qemu:///system") is None


def test_every_hypervisor_has_a_driver() -> None:
    assert {hypervisor.driver for hypervisor in HYPERVISORS} <= set(build_catalog().drivers)
