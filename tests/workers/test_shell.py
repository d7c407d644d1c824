"""Programs with a deadline, for real."""

import os
import select
import shutil
from pathlib import Path

import pytest

from contract.errors import EngineAbsent, EngineError, EngineTimeout
from workers import shell


def test_says_what_the_program_said() -> None:
    ran = shell.run(["sh", "-c", "cat; echo err >&2"], deadline_s=20, stdin=b"in \xff")
    assert (ran.stdout, ran.stderr) == ("in �", "err\n")


def test_arguments_are_no_code(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/made); `id`"
    assert shell.run(["printf", "%s", hostile], deadline_s=20).stdout == hostile
    assert list(tmp_path.iterdir()) == []


def test_failure_carries_code_and_output() -> None:
    with pytest.raises(EngineError, match="'sh' ended with 3: no room"):
        shell.run(["sh", "-c", "echo no room >&2; exit 3"], deadline_s=20)


def test_a_program_that_hangs_is_killed() -> None:
    with pytest.raises(EngineTimeout, match=r"did not end in 0\.2 s"):
        shell.run(["sleep", "60"], deadline_s=0.2)


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EngineAbsent, match="'no-such-program'"):
        shell.run(["no-such-program"], deadline_s=1)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EngineAbsent, match="install 'qemu-utils'"):
        shell.run(["qemu-img"], deadline_s=1)


def test_run_until_ends_the_program_and_its_children_once_it_has_spoken() -> None:
    spoke, said = shell.run_until(
        ["sh", "-c", "sleep 300 & echo pid $!; echo ready; wait"], "ready", deadline_s=20
    )
    assert spoke
    assert dies(int(said.split()[1]))


@pytest.mark.parametrize("command", ["sleep 300", "echo other"])
def test_run_until_tells_when_it_never_spoke(command: str) -> None:
    spoke, said = shell.run_until(["sh", "-c", command], "ready", deadline_s=0.5)
    assert not spoke
    assert said in ("", "other\n")


def dies(pid: int) -> bool:
    """Whether a process is dead soon; a zombie that waits for its new parent is."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)
