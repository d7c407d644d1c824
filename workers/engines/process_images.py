"""What a bare process runs: the agent, with or without a folder as its root, or a program."""

import os
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ImageError
from workers import shell
from workers.images import tiny, tree

_ENTER_TREE = """
set -e
root=$1 agent=$2 work=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$agent" "$root/tonnage"
mount --bind "$work" "$root/work"
mount --bind "$work" "$root/tmp"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""
"""Makes a folder the root, and becomes the program. Runs in mounts of its own, which end with it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and what it is told of its surroundings."""

    command: list[str]
    path: str
    """Its PATH."""
    work: str
    """The folder that it works in, as it sees it."""


def prepare(image: str, state_dir: Path) -> Path | None:
    """See that the image can be run; blocks. Returns where ``tiny`` is when it is needed."""
    if image == "tiny":
        return tiny.rootfs(state_dir)
    if tree.is_tree(image):
        tree.read_tree(image)
        if os.geteuid() != 0:
            raise ImageError(
                f"a bare process can have {image} as its root only where the worker is root"
            )
        return tiny.rootfs(state_dir)
    _check_program(image)
    return None


def program_of(image: str, agent: Path | None, folder: Path) -> Program:
    """What runs an image that was prepared, ``tiny`` being at ``agent``, to work in ``folder``."""
    if image != "tiny" and not tree.is_tree(image):
        _check_program(image)
        return Program([image], tree.PATH, str(folder))
    if agent is None or not agent.is_dir():
        raise ImageError("image 'tiny' is not on this host: it was not prepared, or was removed")
    if image == "tiny":
        return Program(tiny.command(agent), str(agent / "bin"), str(folder))
    entered = [str(path) for path in (tree.read_tree(image).rootfs, agent, folder)]
    own_mounts = [shell.find_program("unshare"), "--mount", "--propagation", "private"]
    enter = [*own_mounts, "/bin/sh", "-c", _ENTER_TREE, "sh", *entered]
    return Program([*enter, *tree.agent_command()], tree.PATH, tree.WORK)


def _check_program(image: str) -> None:
    path = Path(image)
    if not path.is_absolute():
        raise ImageError(
            f"process runs 'tiny', or the absolute path of a program or an image's folder, not '{image}'"
        )
    if not path.is_file():
        raise ImageError(f"there is no program {image} on this host")
    if not os.access(path, os.X_OK):
        raise ImageError(f"{image} may not be executed by this worker")
