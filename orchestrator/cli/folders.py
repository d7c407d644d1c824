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
