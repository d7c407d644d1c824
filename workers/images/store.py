"""Built images under the state directory: made once, by whoever comes first, and then only read."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import ImageError


def built(state_dir: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The image called ``name``; ``build`` makes it at the path it is given when it is not there yet.

    ``name`` must hold a hash of everything that shapes the content, so that what is there is right.
    Several workers may ask at once: one builds under a temporary name, the others wait for it. Blocks,
    so call it off the event loop. Raises ImageError when the folder cannot be used.
    """
    folder = state_dir / "images"
    image = folder / name
    if image.exists():
        return image
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_builder(folder / f".{name}.lock"):
            if not image.exists():
                for unfinished in folder.glob(f".{name}-*"):  # of a builder that was killed
                    shutil.rmtree(unfinished, ignore_errors=True)
                _build(folder, image, build)
    except OSError as error:
        raise ImageError(f"image '{name}' could not be built under {folder}: {error}") from error
    return image


def _build(folder: Path, image: Path, build: Callable[[Path], None]) -> None:
    workplace = Path(tempfile.mkdtemp(prefix=f".{image.name}-", dir=folder))
    try:
        unfinished = workplace / "image"
        build(unfinished)
        # An image that a power cut left half written would be believed for ever.
        _fsync_tree(unfinished)
        unfinished.rename(image)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


@contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    """Hold ``lock`` alone. The kernel lets go of it when the holder dies."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fsync_tree(top: Path) -> None:
    paths = [top, *top.rglob("*")] if top.is_dir() else [top]
    for path in paths:
        if path.is_symlink():
            continue
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
