"""Whether virtual machines really run under KVM here. Believed only after a tiny guest has booted.

/dev/kvm may exist, open and be listed by libvirt, and still never boot a guest: nested virtualisation
that is half there looks like that.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contract.errors import EngineAbsent, EngineError, ImageError
from workers import shell
from workers.images.guest import Guest, command_line
from workers.images.store import built

Accelerator = Literal["kvm", "tcg"]

BOOT_DEADLINE_S = 10.0
"""For the trial guest to speak. Under KVM it needs less than one second."""

KVM_DEVICE = Path("/dev/kvm")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NONCE = "accelerator"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether KVM boots guests on this host, and if not, why."""

    boots: bool
    reason: str


def choose(wanted: Literal["auto", "kvm", "tcg"], verdict: Verdict) -> Accelerator:
    """The accelerator to use. Raises EngineAbsent when KVM is demanded where it does not boot."""
    if wanted == "tcg" or (wanted == "auto" and not verdict.boots):
        return "tcg"
    if not verdict.boots:
        raise EngineAbsent(
            f"the profile asks for 'accel: kvm', and {verdict.reason}; "
            "use 'accel: auto' or 'accel: tcg', or repair virtualisation on this host"
        )
    return "kvm"


def judge_kvm(guest: Guest, emulator: str, qemu_version: str, state_dir: Path) -> Verdict:
    """Boot ``guest`` under KVM once per kernel, QEMU and start of the host, and remember the outcome.

    ``emulator`` is QEMU's program. Blocks for BOOT_DEADLINE_S at most; other workers of the host wait
    for the same outcome.
    """
    if not KVM_DEVICE.exists():
        return Verdict(False, f"there is no {KVM_DEVICE} on this host")
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return Verdict(False, f"{KVM_DEVICE} may not be opened by this worker's user")
    key = f"{guest.kernel.name} {guest.initramfs.name} {qemu_version} {_BOOT_ID.read_text()}"
    name = f"kvm-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    try:
        remembered = built(state_dir, name, lambda path: _judge(guest, emulator, path))
        found = json.loads(remembered.read_text())
        return Verdict(bool(found["boots"]), str(found["reason"]))
    except (ImageError, OSError, ValueError, KeyError) as error:
        return Verdict(False, f"KVM could not be tried: {error}")


def _judge(guest: Guest, emulator: str, path: Path) -> None:
    verdict = _boot(guest, emulator)
    path.write_text(json.dumps({"boots": verdict.boots, "reason": verdict.reason}))


def _boot(guest: Guest, emulator: str) -> Verdict:
    arguments: list[str | Path] = [emulator, "-machine", "pc,accel=kvm", "-cpu", "host", "-m", "128"]
    arguments += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
    arguments += ["-kernel", guest.kernel, "-initrd", guest.initramfs]
    arguments += ["-append", command_line(_NONCE)]
    try:
        spoke, said = shell.run_until(arguments, f'"beacon":"{_NONCE}"', deadline_s=BOOT_DEADLINE_S)
    except EngineError as error:
        return Verdict(False, f"KVM could not be tried: {error}")
    if spoke:
        return Verdict(True, "a guest has booted under it")
    last = said.strip().splitlines()[-1:] or ["nothing"]
    return Verdict(False, f"no guest booted under KVM within {BOOT_DEADLINE_S:g} s (it said: {last[0]})")
