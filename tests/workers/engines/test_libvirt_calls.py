"""Calls to libvirt, with its library and a connection played by a few lines."""

# ruff: noqa: N802, N815 - libvirt's own names

import sys
from types import ModuleType

import pytest

from contract.errors import EngineAbsent, EngineError
from workers.engines import libvirt_calls, libvirt_session
from workers.engines.libvirt_calls import (
    count_foreign,
    destroy,
    examine,
    exists,
    is_running,
    owned_domains,
    press_power_button,
    qemu_user,
    undefine,
)
from workers.ownership import Owner

OWNER = Owner("h1", "c1", "0123456789abcdef" * 2, 1, "b00t")
CAPABILITIES = """<capabilities><host>
  <secmodel><model>apparmor</model><doi>0</doi></secmodel>
  <secmodel><model>dac</model><doi>0</doi>
    <baselabel type='kvm'>+64055:+108</baselabel><baselabel type='qemu'>+64055:+108</baselabel>
  </secmodel></host></capabilities>"""


class Refusal(Exception):
    """Stands for libvirt.libvirtError."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self._code = code

    def get_error_code(self) -> int:
        return self._code

    def get_error_message(self) -> str:
        return "the daemon's words"


class Library(ModuleType):
    """Stands for the module ``libvirt``."""

    libvirtError = Refusal
    VIR_ERR_NO_DOMAIN = 42
    VIR_ERR_NO_DOMAIN_METADATA = 80
    VIR_ERR_OPERATION_INVALID = 55


class Domain:
    def __init__(self, name: str, metadata: str | None = None, *, running: bool = True) -> None:
        self._name = name
        self._metadata = metadata
        self.running = running
        self.refusal: int | None = None
        self.undefined = False

    def name(self) -> str:
        return self._name

    def UUIDString(self) -> str:
        return f"uuid-{self._name}"

    def isActive(self) -> bool:
        return self.running

    def metadata(self, kind: int, namespace: str, flags: int) -> str:
        assert (kind, namespace) == (2, "urn:tonnage:owner")
        if self._metadata is None:
            raise Refusal(80)
        return self._metadata

    def destroy(self) -> None:
        if not self.running:
            raise Refusal(55)
        self.running = False

    def shutdownFlags(self, flags: int) -> None:
        if self.refusal is not None:
            raise Refusal(self.refusal)

    def undefineFlags(self, flags: int) -> None:
        self.undefined = True


class Connection:
    def __init__(self, *domains: Domain) -> None:
        self.domains = domains

    def listAllDomains(self, flags: int) -> list[Domain]:
        return [domain for domain in self.domains if domain.running or not flags & 1]

    def lookupByUUIDString(self, uuid: str) -> Domain:
        for domain in self.domains:
            if domain.UUIDString() == uuid:
                return domain
        raise Refusal(42)

    def getDomainCapabilities(self, *asked: object) -> str:
        if "pc" not in asked:
            raise Refusal(8)
        return (
            "<domainCapabilities><path>/usr/bin/q</path><machine>pc-7.2</machine></domainCapabilities>"
        )

    def getLibVersion(self) -> int:
        return 9_001_002

    def getVersion(self) -> int:
        return 7_002_022

    def getCapabilities(self) -> str:
        return CAPABILITIES


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", Library("libvirt"))
    monkeypatch.setattr(libvirt_session, "_ensure_event_loop", lambda _: None)


def ours(name: str, *, running: bool = True) -> Domain:
    labels = " ".join(f'{key}="{value}"' for key, value in OWNER.labels().items())
    return Domain(name, f"<owner {labels}/>", running=running)


def test_the_engine_is_described() -> None:
    found = examine(Connection(), "pc")
    assert (found.libvirt_version, found.qemu_version) == ("9.1.2", "7.2.22")
    assert (found.emulator, found.machine_version) == ("/usr/bin/q", "pc-7.2")
    assert found.qemu_user == (64055, 108)
    with pytest.raises(EngineAbsent, match="install 'qemu-system-x86'"):
        examine(Connection(), "q35")


def test_qemu_has_a_user_of_its_own_only_where_libvirt_changes_users() -> None:
    for none in (
        "",
        "<secmodel><model>dac</model></secmodel>",
        "<secmodel><model>none</model></secmodel>",
    ):
        assert qemu_user(f"<capabilities><host>{none}</host></capabilities>") is None


def test_domains_are_ours_by_name_and_metadata() -> None:
    connection = Connection(
        ours("tonnage-a"),
        ours("tonnage-b", running=False),
        ours("other"),
        Domain("tonnage-c"),
        Domain("tonnage-d", "<owner/>"),
    )
    assert owned_domains(connection) == [
        ("tonnage-a", "uuid-tonnage-a", OWNER),
        ("tonnage-b", "uuid-tonnage-b", OWNER),
    ]
    assert count_foreign(connection) == 3


def test_gone_already_is_no_error() -> None:
    stopped = ours("tonnage-a", running=False)
    connection = Connection(stopped)
    for uuid in ("uuid-tonnage-a", "uuid-missing"):
        destroy(connection, uuid)
        undefine(connection, uuid)
    assert stopped.undefined
    assert exists(connection, "uuid-tonnage-a")
    assert not exists(connection, "uuid-missing")
    assert not is_running(connection, "uuid-tonnage-a")
    assert not is_running(connection, "uuid-missing")


def test_the_power_button_is_pressed_on_who_can_hear_it() -> None:
    domain = ours("tonnage-a")
    connection = Connection(domain)
    assert press_power_button(connection, "uuid-tonnage-a") is True
    assert press_power_button(connection, "uuid-missing") is False
    domain.refusal = 1
    with pytest.raises(EngineError, match="'shutdown'"):
        press_power_button(connection, "uuid-tonnage-a")
    domain.running = False  # it died while it was asked
    assert press_power_button(connection, "uuid-tonnage-a") is False


def test_constants_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    libvirt = pytest.importorskip("libvirt")
    assert libvirt_calls._LIST_ACTIVE == libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
    assert libvirt_calls._METADATA_ELEMENT == libvirt.VIR_DOMAIN_METADATA_ELEMENT
    assert libvirt_calls._SHUTDOWN_ACPI_POWER_BUTTON == libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
    assert libvirt_calls._UNDEFINE_ALL == (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    )
