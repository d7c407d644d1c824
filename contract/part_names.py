"""Names of parts, which say of which trial and attempt they are: to list them, no table need be read."""

import os
import re
from pathlib import Path

_OF_PART = r"(?P<trial>[0-9a-f]{32})\.(?P<attempt>[0-9]{1,4})\.part"
_NAME = re.compile(_OF_PART)
_AMONG_OTHERS = re.compile(rf"(?<![^/]){_OF_PART}(?![^/])")
"""In names with a slash between, which no name can hold."""


def part_name(trial_id: str, attempt: int) -> str:
    """File name of a part."""
    return f"{trial_id}.{attempt}.part"


def is_part_name(name: str) -> tuple[str, int] | None:
    """Trial and attempt that a part of this name has; None for any other file."""
    match = _NAME.fullmatch(name)
    return (match["trial"], int(match["attempt"])) if match else None


def list_parts(folder: Path) -> dict[str, tuple[int, ...]]:
    """Trials that have parts in ``folder``, with their attempts in order. One listing, no reading."""
    found: dict[str, tuple[int, ...]] = {}
    if folder.is_dir():
        for trial, attempt in _AMONG_OTHERS.findall("/".join(os.listdir(folder))):
            found[trial] = (*found.get(trial, ()), int(attempt))
    return {trial: had if len(had) == 1 else tuple(sorted(had)) for trial, had in found.items()}
