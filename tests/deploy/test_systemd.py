"""The units: systemd knows every directive, and how much a service could do is bounded."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
EXPOSURE = {"tonnage-worker": 60, "tonnage-coordinator@": 16, "tonnage-redis": 14}
"""Ten times the exposure that `systemd-analyze security` may find; 100 is no protection at all.

The worker's own is high because it may filter no system calls: bare processes would inherit that.
"""
FILTERS = re.compile(
    r"^(SystemCall\w+|Restrict\w+|LockPersonality|MemoryDenyWriteExecute|PrivateDevices"
    r"|Protect(Clock|Hostname|KernelLogs|KernelModules|KernelTunables))=",
    re.MULTILINE,
)
"""Directives that systemd carries out with a system call filter (systemd.exec(5))."""


@pytest.fixture(autouse=True)
def analyze() -> None:
    if not shutil.which("systemd-analyze"):
        if os.environ.get("CI") == "true":
            pytest.fail("there is no systemd-analyze")
        pytest.skip("there is no systemd-analyze")


def unit(folder: Path, name: str, drop_in: str | None = None) -> Path:
    """A unit as it would be installed here, with a program that is there."""
    text = (UNITS / f"{name}.service").read_text()
    path = folder / f"{name}.service"
    path.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", text, flags=re.MULTILINE))
    if drop_in:
        (folder / f"{name}.service.d").mkdir()
        shutil.copy(UNITS / f"{name}.service.d" / drop_in, folder / f"{name}.service.d")
    return path


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "drop_in"),
    [
        *((name, None) for name in EXPOSURE),
        *(("tonnage-worker", d) for d in ("root.conf", "filtered.conf")),
    ],
)
def test_systemd_knows_every_directive(tmp_path: Path, name: str, drop_in: str | None) -> None:
    answer = analyzed("verify", "--man=no", "--recursive-errors=no", str(unit(tmp_path, name, drop_in)))
    assert (answer.returncode, answer.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", EXPOSURE)
def test_a_service_can_do_little_beside_its_work(tmp_path: Path, name: str) -> None:
    options = ["security", "--offline=true", f"--threshold={EXPOSURE[name]}"]
    answer = analyzed(*options, str(unit(tmp_path, name)))
    assert answer.returncode == 0, answer.stdout.splitlines()[-1:]


def test_filters_bring_the_worker_down_to_the_others(tmp_path: Path) -> None:
    path = unit(tmp_path, "tonnage-worker", "filtered.conf")
    answer = analyzed("security", "--offline=true", "--threshold=20", str(path))
    assert answer.returncode == 0, answer.stdout.splitlines()[-1:]


@pytest.mark.parametrize("text", ["tonnage-worker.service", "tonnage-worker.service.d/root.conf"])
def test_bare_processes_inherit_no_filter(text: str) -> None:
    """It would cost them time at every system call, and they are what all else is compared with."""
    assert not FILTERS.search((UNITS / text).read_text())


def test_a_killed_instance_does_not_stop_the_worker() -> None:
    text = (UNITS / "tonnage-worker.service").read_text()
    assert {"OOMPolicy=continue", "TasksMax=infinity", "KillMode=mixed"} <= set(text.splitlines())
