"""A root file system in a folder, from which every driver makes its own shape of one image.

``deploy/debian-image.sh`` makes such a folder: ``rootfs/`` and a description beside it. The agent is no
part of it: it comes into every shape at ``AGENT_HOME``, from the worker that makes the shape.
"""

import hashlib
import io
import json
import shutil
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contract.errors import EngineError, ImageError
from workers import shell
from workers.images import tiny
from workers.images.store import built

AGENT_HOME = "tonnage"
"""Folder of a root file system that the agent comes into."""
WORK = "/work"
"""Where the agent and what it runs work."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of such an image are."""
BUILD_DEADLINE_S = 1800.0

_DESCRIPTION = "tonnage-image.json"
_KERNEL_FOLDERS = ("./dev/", "./proc/", "./sys/")
_SPARE_MIB = 1024
"""What a guest's disk has beside the files."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tree:
    """A root file system that was made to be an image."""

    rootfs: Path
    about: dict[str, Any]
    """What its description says: at least a digest."""

    @property
    def digest(self) -> str:
        """Of the files, as it was when they were made."""
        return str(self.about["digest"])

    @property
    def shape(self) -> str:
        """16 hex digits that name files and agent together."""
        return hashlib.sha256(f"{self.digest}/{tiny.tiny_digest()}".encode()).hexdigest()[:16]


def is_tree(image: str) -> bool:
    """Whether an image's name is that of a folder."""
    return image.startswith("/") and Path(image).is_dir()


def read_tree(image: str) -> Tree:
    """The root file system in that folder. Raises ImageError when it was not made to be an image."""
    folder = Path(image)
    try:
        about = json.loads((folder / _DESCRIPTION).read_text())
        if not isinstance(about, dict) or not isinstance(about.get("digest"), str):
            raise ValueError("it has no digest")
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{image} is no image: its {_DESCRIPTION} cannot be used ({error}); "
            "deploy/debian-image.sh makes such a folder"
        ) from error
    rootfs = folder / "rootfs"
    missing = [name for name in (AGENT_HOME, WORK.strip("/")) if not (rootfs / name).is_dir()]
    if missing:
        raise ImageError(f"{rootfs} lacks the folder '{missing[0]}'")
    return Tree(rootfs, about)


def agent_command() -> list[str]:
    """What runs the agent in every shape."""
    return tiny.command(Path("/") / AGENT_HOME)


def write_archive(tree: Tree, packed: IO[bytes]) -> None:
    """Files and agent as an archive into an open file. Blocks. Raises ImageError."""

    def choose(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if member.name.startswith(_KERNEL_FOLDERS) else member

    try:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(tree.rootfs, ".", filter=choose)
            for entry in tiny.entries():
                if entry.path.startswith(("bin/", "agent.sh")):
                    _add_agent(archive, entry)
    except OSError as error:
        raise ImageError(f"{tree.rootfs} cannot be packed: {error}") from error


def tree_disk(state_dir: Path, tree: Tree) -> Path:
    """Files and agent as a disk of an ext4, in qcow2; built when it is not there. Raises ImageError."""
    return built(state_dir, f"tree-{tree.shape}.qcow2", _make_disk(state_dir, tree))


def _add_agent(archive: tarfile.TarFile, entry: tiny.Entry) -> None:
    member = tarfile.TarInfo(f"./{AGENT_HOME}/{entry.path}")
    member.mode = stat.S_IMODE(entry.mode)
    if stat.S_ISLNK(entry.mode):
        member.type, member.linkname = tarfile.SYMTYPE, entry.content.decode()
    else:
        member.size = len(entry.content)
    archive.addfile(member, io.BytesIO(entry.content))


def _make_disk(state_dir: Path, tree: Tree) -> Callable[[Path], None]:
    def build(image: Path) -> None:
        root, raw = image.with_suffix(".root"), image.with_suffix(".raw")
        agent = tiny.rootfs(state_dir)
        try:
            _run("cp", "-a", "--", tree.rootfs, root)
            shutil.copytree(agent, root / AGENT_HOME, symlinks=True, dirs_exist_ok=True)
            size_mib = int(_run("du", "-sm", "--", root).split()[0]) * 5 // 4 + _SPARE_MIB
            # mke2fs copies the folder by itself, so nothing is mounted.
            _run("mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", "-d", root, raw, f"{size_mib}M")
            _run("qemu-img", "convert", "-O", "qcow2", raw, image)
            image.chmod(0o644)
        except EngineError as error:
            raise ImageError(f"no disk could be made of {tree.rootfs}: {error}") from error

    return build


def _run(*arguments: str | Path) -> str:
    return shell.run(arguments, deadline_s=BUILD_DEADLINE_S).stdout
