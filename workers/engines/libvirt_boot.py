"""What the libvirt driver boots on this host: guests of ``tiny``, users' disks, and the accelerator."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contract.errors import EngineError, ImageError
from workers.engines.accelerator import KVM_DEVICE, Accelerator, Verdict, choose, judge_kvm
from workers.engines.domain_xml import DirectBoot, OverlayDisk
from workers.engines.libvirt_calls import Engine
from workers.engines.libvirt_files import readable, unreachable, usable
from workers.images.guest import (
    DiskImage,
    Guest,
    command_line,
    disk_guest,
    initramfs_guest,
    inspect_disk,
)
from workers.images.tree import is_tree, read_tree, tree_disk
from workers.settings import HostSettings


@dataclass(frozen=True, slots=True)
class Chosen:
    """The accelerator in use, and why."""

    accelerator: Accelerator
    reason: str


class BootSources:
    """What instances of one profile boot from. Everything blocks, and any thread may call it."""

    def __init__(self, host: HostSettings, boot: Literal["initramfs", "disk"]) -> None:
        self._host = host
        self._boot = boot
        self._lock = threading.Lock()
        self._disks: dict[str, DiskImage] = {}
        self._chosen: Chosen | None = None
        self.guest: Guest | None = None
        """The guest of ``tiny``, once it was needed."""
        self.trees: dict[str, Path] = {}
        """Disks made of folders, by the folder."""
        self.delivered: dict[str, tuple[Path, ...]] = {}
        """Disks that came from a registry, by reference: each with all below it, the highest first."""

    def is_ours(self, image: str) -> bool:
        """Whether the guest's kernel is ours, wherever its disk came from."""
        return image == "tiny" or image in self.delivered or is_tree(image)

    def prepare(self, image: str, engine: Engine) -> None:
        """Build ``tiny``, or a disk of a folder, or look at a disk image. Raises ImageError."""
        with self._lock:
            if image == "tiny":
                self._tiny(engine)
            elif is_tree(image):
                self.trees[image] = tree_disk(self._host.state_dir, read_tree(image))
            elif image not in self._disks:
                self._disks[image] = _users_disk(image, engine.qemu_user)

    def sources(
        self, image: str, nonce: str, overlay: Path, engine: Engine
    ) -> tuple[DirectBoot | None, OverlayDisk | None]:
        """How an instance starts: a kernel (None: from firmware), and its disk if it has one.

        Prepares the image when nobody has. Raises ImageError.
        """
        if image in self.delivered:
            return self._delivered(self.delivered[image], nonce, overlay, engine)
        if image in self.trees:
            return self._delivered((self.trees[image],), nonce, overlay, engine)
        self.prepare(image, engine)
        if is_tree(image):
            return self._delivered((self.trees[image],), nonce, overlay, engine)
        if image != "tiny":
            disk = self._disks[image]
            return None, OverlayDisk(overlay, disk.path, disk.format)
        guest = self._tiny(engine)
        boot = DirectBoot(guest.kernel, guest.initramfs, command_line(nonce))
        return boot, OverlayDisk(overlay, guest.disk, "qcow2") if guest.disk else None

    def _delivered(
        self, chain: tuple[Path, ...], nonce: str, overlay: Path, engine: Engine
    ) -> tuple[DirectBoot, OverlayDisk]:
        """Kernel and initramfs stay with the host: only the disk travels."""
        guest = disk_guest(self._host.state_dir, self._host.kernel)
        for path in (guest.kernel, chain[0]):
            see_that_qemu_reaches(path, engine.qemu_user, "state_dir")
        boot = DirectBoot(guest.kernel, guest.initramfs, command_line(nonce))
        return boot, OverlayDisk(overlay, chain[0], "qcow2", deeper=chain[1:])

    def choose(self, wanted: Literal["auto", "kvm", "tcg"], engine: Engine) -> Chosen:
        """The accelerator: settled once by a real boot. Raises EngineAbsent for KVM in vain.

        Raises EngineError on a host where every call of libvirt would take seconds.
        """
        see_that_libvirt_remembers_qemu(engine.qemu_user)
        with self._lock:
            if self._chosen is None:
                self._chosen = self._choose(wanted, engine)
            return self._chosen

    def _choose(self, wanted: Literal["auto", "kvm", "tcg"], engine: Engine) -> Chosen:
        if wanted == "tcg":
            return Chosen("tcg", "the profile asks for it")
        try:
            guest = initramfs_guest(self._host.state_dir, self._host.kernel)
            verdict = judge_kvm(guest, engine.emulator, engine.qemu_version, self._host.state_dir)
            if self._boot == "initramfs":
                self.guest = guest
        except ImageError as error:
            verdict = Verdict(False, f"there is no guest to try KVM with: {error}")
        return Chosen(choose(wanted, verdict), verdict.reason)

    def _tiny(self, engine: Engine) -> Guest:
        if self.guest is None:
            build = disk_guest if self._boot == "disk" else initramfs_guest
            guest = build(self._host.state_dir, self._host.kernel)
            see_that_qemu_reaches(guest.kernel, engine.qemu_user, "state_dir")
            self.guest = guest
        return self.guest


def see_that_qemu_reaches(path: Path, qemu_user: tuple[int, int] | None, setting: str) -> None:
    """Raises EngineError when QEMU's user cannot pass the folders on the way to ``path``."""
    closed = unreachable(path, *qemu_user) if qemu_user else None
    if closed is not None and qemu_user is not None:
        raise EngineError(
            f"QEMU runs as user {qemu_user[0]} and may not pass {closed} on its way to {path}: "
            f"open that folder (chmod o+x), or choose another '{setting}' for this host"
        )


def see_that_libvirt_remembers_qemu(qemu_user: tuple[int, int] | None) -> None:
    """Raises EngineError when QEMU's user may not use /dev/kvm.

    libvirt examines QEMU with more rights than it later gives it, finds KVM, then finds that the user
    has none, and so trusts nothing it knew: it examines QEMU anew before every call, emulated or not
    (virQEMUCapsIsValid in qemu_capabilities.c, libvirt 9.0).
    """
    if qemu_user and KVM_DEVICE.exists() and not usable(KVM_DEVICE, *qemu_user):
        raise EngineError(
            f"QEMU runs as user {qemu_user[0]} and may not use {KVM_DEVICE}; libvirt then examines QEMU "
            f"anew before every call, for seconds: 'chgrp kvm {KVM_DEVICE}; chmod 660 {KVM_DEVICE}', "
            "and see that this user is in group kvm"
        )


def _users_disk(image: str, qemu_user: tuple[int, int] | None) -> DiskImage:
    path = Path(image)
    if not path.is_absolute():
        raise ImageError(
            f"'{image}' names no image of a virtual machine: give 'tiny' or a disk image's absolute path"
        )
    disk = inspect_disk(path)
    see_that_qemu_reaches(path, qemu_user, "image")
    if qemu_user and not readable(path, *qemu_user):
        raise ImageError(f"QEMU runs as user {qemu_user[0]} and may not read {path}: chmod o+r it")
    return disk
