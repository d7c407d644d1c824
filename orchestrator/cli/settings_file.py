"""Settings in a file: every option that has a variable is also a key of one YAML file.

An option wins over its variable, that over the file, and the file over the default.
"""

import functools
import inspect
import os
import stat
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

import typer

from contract.errors import CampaignError, UseError

if TYPE_CHECKING:
    from contract.yaml_source import YamlSource

Command = TypeVar("Command", bound=Callable[..., Any])

SYSTEM_FILE = Path("/etc/tonnage/tonnage.yaml")
USER_FILE = Path("~/.config/tonnage/tonnage.yaml")
LINES = "tonnage.settings"
"""Where a command's context keeps the file and line of each key: ``{key: "FILE:LINE"}``."""

_PREFIX = "TONNAGE_"
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    list: ((list,), "a list"),
    Path: ((str,), "text"),
    str: ((str,), "text"),
}
"""What a key may hold in the file for the type that its option has, and how a person says it."""


class Settled(typer.Typer):
    """A command line whose options with a variable can be set in a file."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.keys: dict[str, type] = {}
        """Keys that the file may have, with the type of their option: grows with every command."""

    def command(self, name: str | None = None, **given: Any) -> Callable[[Command], Command]:
        """Register a command, with ``--config`` when it has options that a file can set."""
        register = super().command(name, **given)

        def settle(command: Command) -> Command:
            own = dict(_keys_of(command))
            self.keys |= own
            register(self._with_file(command) if own else command)
            return command

        return settle

    def _with_file(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """The command with one option more, read before all others, that it never sees itself."""

        def read(ctx: typer.Context, value: Path | None) -> Path | None:
            if not ctx.resilient_parsing:
                _lay_under(ctx, value, self.keys)
            return value

        option = typer.Option(
            "--config",
            envvar="TONNAGE_CONFIG",
            is_eager=True,
            callback=read,
            help=f"File of settings (YAML); default: {SYSTEM_FILE}, else {USER_FILE}.",
        )

        @functools.wraps(command)
        def with_file(**given: Any) -> Any:
            del given["config"]
            return command(**given)

        kind = inspect.Parameter.KEYWORD_ONLY
        config = inspect.Parameter(
            "config", kind, default=None, annotation=Annotated[Path | None, option]
        )
        shown = inspect.Signature([*inspect.signature(command).parameters.values(), config])
        with_file.__signature__ = shown  # type: ignore[attr-defined]  # what the command line is made from
        with_file.__annotations__ = {p.name: p.annotation for p in shown.parameters.values()}
        return with_file


def key_of(variable: str) -> str:
    """The key of an option with this variable: ``TONNAGE_STATE_DIR`` → ``state_dir``."""
    return variable.removeprefix(_PREFIX).lower()


def _keys_of(command: Callable[..., Any]) -> Iterator[tuple[str, type]]:
    """The keys that a command's options have, with their types."""
    for parameter in inspect.signature(command).parameters.values():
        if get_origin(parameter.annotation) is not Annotated:
            continue
        kind, *said = get_args(parameter.annotation)
        variable = next((found for one in said if (found := getattr(one, "envvar", None))), None)
        if variable:
            yield key_of(str(variable)), _plain(kind)


def _plain(kind: Any) -> type:
    """``Path | None`` → ``Path``, ``list[str]`` → ``list``."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(inner for inner in get_args(kind) if inner is not type(None))
    plain = get_origin(kind) or kind
    return plain if plain in _KINDS else str


def _lay_under(ctx: typer.Context, named: Path | None, keys: dict[str, type]) -> None:
    """Make a file's values the defaults of the command that is about to be read. Raises UseError."""
    path = named or default_file()
    if path is None:
        return
    try:
        values, lines = read_settings(path, keys)
    except CampaignError as error:  # a file of settings is no campaign: another exit code
        raise UseError(str(error)) from error
    defaults = {}
    for parameter in ctx.command.params:
        variable = getattr(parameter, "envvar", None)
        key = key_of(str(variable)) if variable else ""
        if key in values and parameter.name:
            defaults[parameter.name] = values[key]
            try:  # bounds are the option's own, and only here is the line known
                parameter.process_value(ctx, values[key])
            except typer.BadParameter as error:
                allowed = error.message.removeprefix("Input should be ")
                where = f"{lines[key]}: '{key}': found {values[key]!r}"
                raise UseError(f"{where}; allowed: {allowed}") from error
    ctx.default_map = defaults
    ctx.meta[LINES] = lines


def default_file() -> Path | None:
    """The file that is taken when none is named: the first that this user can read, or None."""
    places = (SYSTEM_FILE, USER_FILE.expanduser())
    return next((place for place in places if os.access(place, os.R_OK)), None)


def read_settings(path: Path, keys: dict[str, type]) -> tuple[dict[str, Any], dict[str, str]]:
    """A file's values by key, and ``FILE:LINE`` of each. Raises CampaignError for what it may not hold.

    Raises UseError when it holds a password that any user of the machine can read.
    """
    from contract.yaml_source import load_yaml

    source = load_yaml(path)
    data = {} if source.data is None else source.data
    if not isinstance(data, dict):
        raise source.error((), data, "a mapping of settings")
    values = {key: _checked(source, key, value, keys) for key, value in data.items()}
    _check_host(source, values)
    _check_privacy(path, values)
    return values, {key: f"{path}:{source.line((key,))}" for key in values}


def _checked(source: "YamlSource", key: str, value: Any, keys: dict[str, type]) -> Any:
    """One value as its option takes it."""
    if key not in keys:
        raise source.unknown((key,), keys)
    kind = keys[key]
    taken, said = _KINDS[kind]
    fits = isinstance(value, taken) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise source.error((key,), value, said)
    if kind is list:
        for place, entry in enumerate(value):
            if not isinstance(entry, str):
                raise source.error((key, place), entry, "text")
    if kind is Path and not Path(value).expanduser().is_absolute():
        # A service and a shell would each look from another folder.
        raise source.error((key,), value, "a path that begins with / or ~")
    return str(Path(value).expanduser()) if kind is Path else value


def _check_host(source: "YamlSource", values: dict[str, Any]) -> None:
    """What is said about the host at hand is refused here, where the line is known."""
    from pydantic import ValidationError

    from workers.settings import HostSettings

    said = {key: value for key, value in values.items() if key in HostSettings.model_fields}
    try:
        HostSettings.model_validate({"name": "any"} | said)
    except ValidationError as error:
        raise source.refuse(error, HostSettings) from error


def _check_privacy(path: Path, values: dict[str, Any]) -> None:
    """Nobody else may change the file, or read a password in it. Raises UseError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if path.is_file() and mode & stat.S_IWOTH:
        raise UseError(f"{path}: every user of this machine can change the file; chmod o-w {path}")
    if not mode & stat.S_IRWXO:
        return
    from contract.broker import without_password

    for key, value in values.items():
        if isinstance(value, str) and without_password(value) != value:
            raise UseError(
                f"{path}: '{key}' holds a password, and every user of this machine can read the file; "
                f"chmod 640 {path}, or leave the key out and set {_PREFIX}{key.upper()}"
            )
