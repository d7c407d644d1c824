"""The tally: nothing lost between processes, nothing counted twice, a cut-off line is no trouble."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from workers.tally import Tally


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "tally.jsonl"


def add_many(path: Path, writer: int, count: int) -> None:
    for number in range(count):
        Tally(path).add({"event": "x", "writer": writer, "number": number})


def test_what_is_added_is_taken_once_and_in_order(path: Path) -> None:
    tally = Tally(path)
    tally.begin()
    tally.add({"event": "a"})
    tally.add({"event": "b", "size_bytes": 3})
    assert tally.take() == [{"event": "a"}, {"event": "b", "size_bytes": 3}]
    assert tally.take() == []


def test_a_worker_begins_with_nothing(path: Path) -> None:
    Tally(path).begin()
    Tally(path).add({"event": "of an earlier worker"})
    Tally(path).begin()
    assert Tally(path).take() == []


def test_only_we_may_read_and_write_it_and_no_link_leads_elsewhere(path: Path, tmp_path: Path) -> None:
    Tally(path).begin()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic"):
        Tally(path).add({"event": "a"})
    assert not (tmp_path / "precious").exists()


def test_a_line_that_was_cut_off_costs_only_itself(path: Path) -> None:
    Tally(path).begin()
    path.write_bytes(b'\n{"event": "a"}\n{"event": "cut o')
    Tally(path).add({"event": "b"})
    with path.open("ab") as file:
        file.write(b'\n[1]\n{"no": "event"}\n\xff\xfe\n')
    assert [happening["event"] for happening in Tally(path).take()] == ["a", "b"]


def test_nothing_is_lost_while_others_write(path: Path) -> None:
    Tally(path).begin()
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_many, args=(path, number, 300)) for number in range(2)]
    thread = threading.Thread(target=add_many, args=(path, 9, 300))
    for each in (*writers, thread):
        each.start()
    taken = []
    while any(writer.is_alive() for writer in writers) or thread.is_alive():
        taken += Tally(path).take()
    for each in (*writers, thread):
        each.join()
    taken += Tally(path).take()
    assert sorted((t["writer"], t["number"]) for t in taken) == [
        (writer, number) for writer in (0, 1, 9) for number in range(300)
    ]


def test_what_comes_between_reading_and_emptying_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tally(path).begin()
    late = threading.Thread(target=add_many, args=(path, 1, 1))
    empty = os.ftruncate

    def empty_later(file: int, size_bytes: int) -> None:
        late.start()
        late.join(timeout=0.3)  # it waits for us, unless nothing keeps it
        empty(file, size_bytes)

    with monkeypatch.context() as patch:
        patch.setattr("workers.tally.os.ftruncate", empty_later)
        assert Tally(path).take() == []
    late.join()
    assert [happening["writer"] for happening in Tally(path).take()] == [1]
