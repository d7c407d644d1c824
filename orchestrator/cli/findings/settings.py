"""Where each setting of a command comes from, and whether its files are for the right eyes."""

import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from contract.broker import without_password
from orchestrator.cli.findings import Finding
from orchestrator.cli.settings_file import LINES, key_of

_SECRET = ("key", "keys")
"""Settings that name a file, or a folder of files, that nobody else may read."""

DEFAULT = "default"
"""Source of what nobody has set."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a command has it."""

    key: str
    value: str | None
    """None when nobody has said anything; without passwords."""
    source: str
    """The option, the variable, the file with its line, or ``default``."""

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def settings_of(ctx: typer.Context, defaults: dict[str, Any]) -> list[Setting]:
    """Every setting that this context's command takes; ``defaults`` stand in for what is not said."""
    found = []
    lines = ctx.meta.get(LINES, {})
    for parameter in ctx.command.params:
        variable, name = getattr(parameter, "envvar", None), parameter.name
        if not variable or name is None:
            continue
        key = key_of(str(variable))
        said = {
            "COMMANDLINE": parameter.opts[0],
            "ENVIRONMENT": str(variable),
            "DEFAULT_MAP": lines.get(key, "the file"),
        }
        source = said.get(getattr(ctx.get_parameter_source(name), "name", ""), DEFAULT)
        value = ctx.params.get(name)
        found.append(Setting(key, _shown(defaults.get(name) if value is None else value), source))
    return found


def _shown(value: Any) -> str | None:
    if value is None or value == ():
        return None
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return " ".join(map(without_password, text.split(" ")))


def of_settings(settings: list[Setting]) -> Iterator[Finding]:
    """Secrets that others may read, and files that are not there."""
    for setting in settings:
        if setting.key in _SECRET and setting.value is not None:
            yield _secret(setting.key, Path(setting.value))


def _secret(key: str, path: Path) -> Finding:
    try:
        files = sorted(path.glob("*.key")) if path.is_dir() else [path]
        open_ones = [file for file in files if file.stat().st_mode & stat.S_IRWXO]
    except OSError as error:
        return Finding(
            key, False, f"{path}: {error.strerror}", f"see that the worker's user can read {path}"
        )
    if open_ones:
        text = f"every user of this machine can read {open_ones[0]}"
        return Finding(key, False, text, f"chmod o= {open_ones[0]}, and make a new key")
    return Finding(key, True, str(path))
