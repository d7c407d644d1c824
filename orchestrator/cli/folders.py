"""Folders that commands are given: results folders, or datasets inside or beside them."""

from pathlib import Path

from contract.errors import DatasetError


def dataset_in(folder: Path) -> Path:
    """The dataset of a results folder, gathered anew from its parts, or the folder when it is one.

    Raises DatasetError when the folder is neither.
    """
    from orchestrator.gather import gather
    from orchestrator.results import Results

    if (folder / "parts").is_dir():
        results = Results(folder)
        with results.locked():
            return gather(results, results.planned()).dataset
    if not (folder / "manifest.json").is_file():
        raise DatasetError(f"{folder}: neither a results folder (parts/) nor a dataset (manifest.json)")
    return folder


def gathered_in(folder: Path) -> Path:
    """The dataset as last gathered: the folder itself, or the one in it. Raises DatasetError."""
    for place in (folder, folder / "dataset"):
        if (place / "manifest.json").is_file():
            return place
    raise DatasetError(
        f"{folder}: no dataset (manifest.json) here; `tonnage report {folder}` gathers one from parts"
    )
