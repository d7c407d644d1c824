"""The reference image in all its shapes, and the store it is built in."""

import io
import os
import stat
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.errors import ImageError
from workers.images import tiny
from workers.images.elf import is_static
from workers.images.store import built


def test_the_folder_holds_agent_busybox_and_applets(tmp_path: Path) -> None:
    root = tiny.rootfs(tmp_path)
    assert (root / "agent.sh").read_bytes() == tiny.agent_script()
    assert os.access(root / "bin/busybox", os.X_OK)
    for applet in tiny.APPLETS:
        assert (root / "bin" / applet).resolve() == (root / "bin/busybox").resolve()
    assert stat.S_IMODE((root / "work").stat().st_mode) == 0o1777
    assert {path.name for path in root.iterdir()} == {
        "agent.sh",
        "bin",
        "dev",
        "proc",
        "sys",
        "tmp",
        "work",
    }


def test_every_applet_is_one_that_the_busybox_has() -> None:
    listed = subprocess.run([tiny.find_busybox(), "--list"], capture_output=True, text=True, timeout=20)
    assert set(tiny.APPLETS) <= set(listed.stdout.split())


def test_the_archive_is_the_folder(tmp_path: Path) -> None:
    root = tiny.rootfs(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(tiny.docker_archive())) as archive:
        members = archive.getmembers()
        for member in members:
            path = root / member.name
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            if member.issym():
                assert str(path.readlink()) == member.linkname
            else:
                assert member.mode == stat.S_IMODE(path.stat().st_mode)
            if member.isfile():
                content = archive.extractfile(member)
                assert content is not None
                assert content.read() == path.read_bytes()
    assert {member.name for member in members} == {str(p.relative_to(root)) for p in root.rglob("*")}


def test_the_digest_names_the_bytes(tmp_path: Path) -> None:
    assert tiny.tiny_digest() == tiny.tiny_digest()
    assert tiny.rootfs(tmp_path).name == f"tiny-{tiny.tiny_digest()[:16]}"


def test_an_image_that_is_there_is_not_built_again(tmp_path: Path) -> None:
    first = tiny.rootfs(tmp_path).stat()
    assert tiny.rootfs(tmp_path).stat().st_ino == first.st_ino


@pytest.mark.parametrize("dynamic", [True, False])
def test_without_a_static_busybox_the_package_is_named(
    dynamic: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "busybox"
    if dynamic:
        place.write_bytes(Path("/bin/ls").read_bytes())
    monkeypatch.setattr(tiny, "_BUSYBOX_PLACES", (place,))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="busybox-static"):
        tiny.rootfs(tmp_path)


def test_static_programs_are_told_from_dynamic_ones(tmp_path: Path) -> None:
    assert is_static(tiny.find_busybox())
    assert not is_static(Path("/bin/ls"))
    assert not is_static(tmp_path)
    assert not is_static(tmp_path / "nothing")
    cut = tmp_path / "cut"
    cut.write_bytes(tiny.find_busybox().read_bytes()[:70])
    assert not is_static(cut)


def test_many_who_ask_at_once_share_one_build(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(path: Path) -> None:
        builds.append(path)
        path.write_bytes(b"image")

    with ThreadPoolExecutor(8) as pool:
        images = set(pool.map(lambda _: built(tmp_path, "one", build), range(16)))
    assert images == {tmp_path / "images/one"}
    assert len(builds) == 1


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise ImageError("no room")

    with pytest.raises(ImageError, match="no room"):
        built(tmp_path, "one", fail)
    assert [p.name for p in (tmp_path / "images").iterdir()] == [".one.lock"]
    assert built(tmp_path, "one", lambda path: path.touch()).is_file()


def test_a_state_folder_that_cannot_be_used_is_an_image_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(ImageError, match="could not be built"):
        built(blocked, "one", Path.touch)


def test_every_part_of_the_agent_is_in_it() -> None:
    folder = Path(tiny.__file__).parent / "agent"
    assert {path.stem for path in folder.iterdir()} == set(tiny.AGENT_PARTS)
