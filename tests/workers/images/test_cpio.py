"""The initramfs archive, unpacked by a program that is not ours."""

import stat
import subprocess
from pathlib import Path

import pytest

from workers.images import tiny
from workers.images.cpio import pack
from workers.images.tiny import Entry

ENTRIES = [
    Entry("folder", stat.S_IFDIR | 0o750),
    Entry("folder/empty", stat.S_IFREG | 0o644),
    *(Entry(f"folder/{size}", stat.S_IFREG | 0o755, b"x" * size) for size in (1, 2, 3, 4, 5)),
    Entry("folder/link", stat.S_IFLNK | 0o777, b"empty"),
]


def unpack(archive: bytes, folder: Path) -> None:
    command: list[str | Path] = [tiny.find_busybox(), "cpio", "-i", "-d"]
    subprocess.run(command, input=archive, cwd=folder, check=True, capture_output=True, timeout=20)


def test_it_unpacks_to_what_was_packed(tmp_path: Path) -> None:
    unpack(pack(ENTRIES), tmp_path)
    for entry in ENTRIES:
        path = tmp_path / entry.path
        assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(entry.mode)
        if stat.S_ISREG(entry.mode):
            assert path.read_bytes() == entry.content
            assert path.stat().st_mode == entry.mode
    assert str((tmp_path / "folder/link").readlink()) == "empty"


def test_the_same_entries_make_the_same_bytes() -> None:
    assert pack(ENTRIES) == pack(ENTRIES)


@pytest.mark.parametrize("size", range(5))
def test_every_part_is_padded_to_four_bytes(size: int) -> None:
    packed = pack([Entry("n" * size, stat.S_IFREG, b"c" * size)])
    assert len(packed) % 4 == 0
    assert packed.startswith(b"070701")
    assert b"TRAILER!!!" in packed
