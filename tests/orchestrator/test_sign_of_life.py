"""A coordinator is seen from other machines: clocks that differ, signs that stay, harm to the file."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import sign_of_life
from orchestrator.sign_of_life import FILE, SILENT_S, SignReader, shown_alive

FAR = b'{"machine": "m", "pid": 1, "began_s": 0, "at_s": 1e300}'
"""A time that no calendar has."""


def leave(folder: Path, **changes: Any) -> None:
    sign = {"machine": "node7", "pid": 1, "began_s": 0.0, "at_s": time.time(), "new_key": [1]}
    (folder / FILE).write_text(json.dumps(sign | changes))


def alive(reader: SignReader) -> bool | None:
    found = reader.read()
    return None if found is None else found.alive


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the reader's clock stand so many seconds further on."""
    ahead, real = [0.0], time.monotonic
    monkeypatch.setattr(sign_of_life.time, "monotonic", lambda: real() + ahead[0])

    def wait(seconds: float) -> None:
        ahead[0] += seconds

    return wait


def test_signs_are_there_while_the_block_runs_and_are_renewed(tmp_path: Path) -> None:
    reader, seen = SignReader(tmp_path), threading.Event()
    assert reader.read() is None
    with shown_alive(tmp_path, every_s=0.01):
        first = reader.read()
        assert first is not None
        assert first.alive
        for _ in range(500):
            now = reader.read()
            if now is not None and now.at_s > first.at_s:
                seen.set()
                break
            seen.wait(0.01)
        assert seen.is_set()
    assert reader.read() is None


def test_they_end_with_a_coordinator_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), shown_alive(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_silence_is_told_by_the_readers_own_clock(tmp_path: Path, later: Any) -> None:
    reader = SignReader(tmp_path)
    leave(tmp_path)
    assert alive(reader)
    later(SILENT_S + 1)
    assert alive(reader) is False
    leave(tmp_path)
    assert alive(reader)


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_clock_that_is_off_is_doubted_at_the_first_look_only(
    tmp_path: Path, later: Any, off_s: float
) -> None:
    reader = SignReader(tmp_path)
    leave(tmp_path, at_s=time.time() + off_s)
    assert alive(reader) is False
    later(5)
    leave(tmp_path, at_s=time.time() + off_s + 5)
    assert alive(reader)
    later(SILENT_S + 1)
    assert alive(reader) is False


@pytest.mark.parametrize(
    "harm", [b"", b"{", b"[]", b"\xff" * 600, b'{"machine": "m"}', b'{"at_s": NaN}', b"[" * 2000, FAR]
)
def test_what_is_no_sign_changes_nothing(tmp_path: Path, later: Any, harm: bytes) -> None:
    reader = SignReader(tmp_path)
    (tmp_path / FILE).write_bytes(harm)
    assert reader.read() is None
    leave(tmp_path)
    assert alive(reader)
    (tmp_path / FILE).write_bytes(harm)  # half written, say
    assert alive(reader)
    later(SILENT_S + 1)
    assert alive(reader) is False


def test_no_other_file_is_written_or_read_through_a_link(tmp_path: Path) -> None:
    folder, other = tmp_path / "results", tmp_path / "other"
    folder.mkdir()
    leave(tmp_path)
    (tmp_path / FILE).rename(other)
    before = other.read_text()
    (folder / FILE).symlink_to(other)
    assert SignReader(folder).read() is None
    with shown_alive(folder):
        pass
    assert other.read_text() == before


def test_a_pipe_in_its_place_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    assert SignReader(tmp_path).read() is None
    with shown_alive(tmp_path):
        assert alive(SignReader(tmp_path))


def test_a_folder_that_takes_nothing_is_no_reason_to_stop(tmp_path: Path) -> None:
    with shown_alive(tmp_path / "gone"):
        pass
