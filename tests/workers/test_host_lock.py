"""One measurement at a time on a host, also across processes, and never left locked by the dead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.errors import HostBusy, ResultsError
from workers.host_lock import host_lock, lock_holder


def test_a_second_measurement_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    busy = pytest.raises(HostBusy, match=rf"measured by worker 'h1' \(pid {os.getpid()}\)")
    with host_lock(tmp_path, "worker 'h1'"), busy, host_lock(tmp_path, "a local run"):
        pass


def test_the_lock_ends_with_its_block(tmp_path: Path) -> None:
    for who in ("first, with a long name", "second"):
        with host_lock(tmp_path / "state", who):
            assert lock_holder(tmp_path / "state") == f"{who} (pid {os.getpid()})"
    assert lock_holder(tmp_path / "state") is None


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), host_lock(tmp_path, "somebody"):
        raise ZeroDivisionError
    assert lock_holder(tmp_path) is None


def test_a_name_is_held_whatever_the_folder(tmp_path: Path) -> None:
    """A sweep goes by the name: another folder would not keep one from the other's instances."""
    one, other = tmp_path / "one", tmp_path / "other"
    busy = pytest.raises(HostBusy, match=r"'locked-1' is being measured .* another state folder.*--name")
    with host_lock(one, "a local run", "locked-1"):
        with busy, host_lock(other, "another", "locked-1"):
            pass
        with host_lock(other, "another", "locked-2"):
            pass
    with host_lock(other, "another", "locked-1"):
        pass


HOLD = """
import sys
from pathlib import Path
from workers.host_lock import host_lock
with host_lock(Path(sys.argv[1]), "another process"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(HostBusy, match="another process"), host_lock(tmp_path, "us"):
            pass
        process.kill()
        process.wait(20)
    with host_lock(tmp_path, "us"):
        pass


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(ResultsError, match="file/state cannot be written: Not a directory; choose")
    with refused, host_lock(tmp_path / "file" / "state", "us"):
        pass
    assert lock_holder(tmp_path / "file" / "state") is None


def test_nobody_else_can_hold_the_lock(tmp_path: Path) -> None:
    """Who may read a file may lock it, too."""
    path = tmp_path / "host.lock"
    path.touch()
    path.chmod(0o644)  # of an earlier release
    with host_lock(tmp_path, "us"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "host.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ResultsError, match="cannot be written"), host_lock(tmp_path, "us"):
        pass
    assert not (tmp_path / "precious").exists()


def test_a_state_folder_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    with (
        pytest.raises(ResultsError, match="written by every user of this host"),
        host_lock(folder, "us"),
    ):
        pass
    assert list(folder.iterdir()) == []
