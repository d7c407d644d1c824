"""Names of parts, which say of which trial and attempt they are: to list them, no table need be read."""

import os
import re
from pathlib import Path

_NAME = re.compile(r"(?P<trial>[0-9a-f]{32})\.(?P<attempt>[0-9]{1,4})\.part")


def part_name(trial_id: str, attempt: int) -> str:
    """File name of a part."""
    return f"{trial_id}.{attempt}.part"


def is_part_name(name: str) -> tuple[str, int] | None:
    """Trial and attempt that a part of this name has; None for any other file."""
    match = _NAME.fullmatch(name)
    return (match["trial"], int(match["attempt"])) if match else None


def list_parts(folder: Path) -> dict[str, tuple[int, ...]]:
    """Trials that have parts in ``folder``, with their attempts in order. One listing, no reading."""
    found: dict[str, list[int]] = {}
    for name in _names(folder):
        if named := is_part_name(name):
            found.setdefault(named[0], []).append(named[1])
    return {trial: tuple(sorted(attempts)) for trial, attempts in found.items()}


def last_parts(folder: Path) -> dict[str, str]:
    """The same trials, with the name of the part of each one's last attempt: the faster listing."""
    names = list(filter(_NAME.fullmatch, _names(folder)))
    found = {name[:32]: name for name in names}
    if len(found) < len(names):  # where any was attempted again
        return {trial: part_name(trial, had[-1]) for trial, had in list_parts(folder).items()}
    return found


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
