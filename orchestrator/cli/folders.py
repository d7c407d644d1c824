"""Folders that commands are given: results folders, or datasets inside or beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import DatasetError
from contract.nearest import did_you_mean


@contextmanager
def _seen(folder: Path) -> Iterator[None]:
    """What this user may not look into is a complaint, too. Raises DatasetError."""
    try:
        yield
    except PermissionError as error:
        raise DatasetError(f"{folder}: cannot be read: {error.strerror}") from error


def dataset_in(folder: Path) -> Path:
    """The dataset of a results folder, gathered anew from its parts, or the folder when it is one.

    Raises DatasetError when the folder is neither.
    """
    from orchestrator.gather import gather
    from orchestrator.results import Results

    with _seen(folder):
        has_parts = (folder / "parts").is_dir()
    if has_parts:
        results = Results(folder)
        with results.locked():
            return gather(results, results.planned()).dataset
    _see_folder(folder)
    if not (folder / "manifest.json").is_file():
        raise DatasetError(f"{folder}: neither a results folder (parts/) nor a dataset (manifest.json)")
    return folder


def gathered_in(folder: Path) -> Path:
    """The dataset as last gathered: the folder itself, or the one in it. Raises DatasetError."""
    with _seen(folder):
        for place in (folder, folder / "dataset"):
            if (place / "manifest.json").is_file():
                return place
    _see_folder(folder)
    raise DatasetError(
        f"{folder}: no dataset (manifest.json) here; `tonnage report {folder}` gathers one from parts"
    )


def _see_folder(folder: Path) -> None:
    """Raises DatasetError when there is none of this name, with the one that may be meant."""
    if folder.is_file():
        raise DatasetError(f"{folder} is a file; allowed: a results folder, or a dataset inside one")
    if not folder.exists():
        beside = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise DatasetError(f"there is no folder {folder}{did_you_mean(folder.name, beside)}")
