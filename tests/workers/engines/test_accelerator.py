"""Believing in KVM, with QEMU played by scripts."""

import os
import re
from pathlib import Path

import pytest

from contract.errors import EngineAbsent
from workers.engines import accelerator
from workers.engines.accelerator import Verdict, choose, judge_kvm
from workers.images.guest import Guest

BOOTS, FAILS = Verdict(True, "it booted"), Verdict(False, "nothing was heard")


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "KVM_DEVICE", device)
    monkeypatch.setattr(accelerator, "BOOT_DEADLINE_S", 2.0)
    return Guest(Path("/s/kernel-1"), "6.1.0", Path("/s/initramfs-1"), disk=None, power_button=True)


def qemu(folder: Path, script: str) -> str:
    """A program in place of QEMU that also counts its runs."""
    program = folder / "qemu"
    program.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{script}\n")
    program.chmod(0o755)
    return str(program)


def runs(folder: Path) -> int:
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_auto_takes_kvm_only_where_it_boots() -> None:
    assert choose("auto", BOOTS) == "kvm"
    assert choose("auto", FAILS) == "tcg"
    assert choose("tcg", BOOTS) == "tcg"
    assert choose("kvm", BOOTS) == "kvm"
    with pytest.raises(EngineAbsent, match="'accel: kvm', and nothing was heard"):
        choose("kvm", FAILS)


def test_a_guest_that_speaks_is_believed_and_remembered(tmp_path: Path, guest: Guest) -> None:
    program = qemu(tmp_path, """echo '{"beacon":"accelerator","uptime_s":"0.3"}'; exec sleep 60""")
    for _ in range(2):
        assert judge_kvm(guest, program, "7.2.0", tmp_path / "state").boots is True
    assert runs(tmp_path) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", r"within 2 s \(it said: nothing\)"),
        ("echo first; echo KVM internal error; exit 1", "it said: KVM internal error"),
    ],
)
def test_a_guest_that_stays_silent_is_not_believed(
    tmp_path: Path, guest: Guest, script: str, reason: str
) -> None:
    program = qemu(tmp_path, script)
    for _ in range(2):
        verdict = judge_kvm(guest, program, "7.2.0", tmp_path / "state")
        assert verdict.boots is False
        assert re.search(reason, verdict.reason)
    assert runs(tmp_path) == 1


def test_another_qemu_kernel_or_start_of_the_host_is_another_question(
    tmp_path: Path, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, state = qemu(tmp_path, "exit 1"), tmp_path / "state"
    judge_kvm(guest, program, "7.2.0", state)
    judge_kvm(guest, program, "8.0.0", state)
    other = Guest(Path("/s/kernel-2"), "6.2.0", guest.initramfs, disk=None, power_button=True)
    judge_kvm(other, program, "7.2.0", state)
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another")
    monkeypatch.setattr(accelerator, "_BOOT_ID", boot_id)
    judge_kvm(guest, program, "7.2.0", state)
    assert runs(tmp_path) == 4


def test_without_the_device_nothing_is_tried(
    tmp_path: Path, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = qemu(tmp_path, "exit 1")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not be opened" in judge_kvm(guest, program, "7.2.0", tmp_path).reason
    monkeypatch.setattr(accelerator, "KVM_DEVICE", tmp_path / "missing")
    assert "there is no" in judge_kvm(guest, program, "7.2.0", tmp_path).reason
    assert runs(tmp_path) == 0


def test_a_qemu_that_is_not_there_is_a_reason_too(tmp_path: Path, guest: Guest) -> None:
    verdict = judge_kvm(guest, str(tmp_path / "missing"), "7.2.0", tmp_path)
    assert verdict.boots is False
    assert "could not be tried" in verdict.reason
