"""The commands with arguments and options, as rows and as a page, read from the commands themselves."""

import inspect
from typing import Any

from orchestrator.cli.options import HOST_OPTIONS

_HEAD = """\
# Commands

Made by `tonnage schema commands --markdown` from the commands themselves. What options mean in use is
told in [operations](operations.md#options-and-environment), and exit codes
[there](operations.md#exit-codes), too. `--help` behind a command says the same in a terminal, and
`tonnage --install-completion` lets the shell complete it.
"""
_OF_HOST = """\
## Options of the host

Of `{}`. Each says what is particular to the machine, and wins over its variable.

"""


def command_rows() -> list[dict[str, Any]]:
    """Every argument and option of every command."""
    return [row for name, command in _commands().items() for row in _rows(name, command)]


def commands_page() -> str:
    """The commands as Markdown."""
    parts = [_HEAD]
    on_host = []
    for name, command in _commands().items():
        rows = _rows(name, command)
        own = [row for row in rows if row["name"] not in HOST_OPTIONS]
        parts.append(f"## tonnage {name}\n\n{_told(command)}\n")
        parts += ["\n".join([_usage(name, own), ""])]
        if own:
            parts.append("\n".join(_table(own)) + "\n")
        if len(own) < len(rows):
            on_host.append(name)
            parts.append("And the [options of the host](#options-of-the-host).\n")
    shared = [row for row in _rows("worker", _commands()["worker"]) if row["name"] in HOST_OPTIONS]
    parts.append(_OF_HOST.format("`, `".join(on_host)) + "\n".join(_table(shared)) + "\n")
    return "\n".join(parts)


def _commands() -> dict[str, Any]:
    from typer.main import get_command

    from orchestrator.cli import app

    found: Any = get_command(app)
    return dict(sorted(found.commands.items()))


def _told(command: Any) -> str:
    return " ".join(inspect.cleandoc(command.help or "").split())


def _rows(name: str, command: Any) -> list[dict[str, Any]]:
    return [
        {
            "command": name,
            "name": parameter.name,
            "written": [*parameter.opts, *parameter.secondary_opts],
            "is_argument": parameter.param_type_name == "argument",
            "required": bool(parameter.required),
            "repeatable": bool(getattr(parameter, "multiple", False)),
            "variable": parameter.envvar or "",
            "default": _default(parameter),
            "meaning": getattr(parameter, "help", None) or "",
        }
        for parameter in command.params
        if parameter.name != "help"
    ]


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or value is True or callable(value) or value == ():
        return ""
    return str(getattr(value, "value", value))


def _usage(name: str, rows: list[dict[str, Any]]) -> str:
    shown = [
        row["name"].upper() if row["required"] else f"[{row['name'].upper()}]"
        for row in rows
        if row["is_argument"]
    ]
    options = " [OPTIONS]" if any(not row["is_argument"] for row in rows) else ""
    return f"```text\n{' '.join(['tonnage', name, *shown])}{options}\n```\n".rstrip("\n")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| | variable | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        written = [row["name"].upper()] if row["is_argument"] else row["written"]
        named = ", ".join(f"`{text}`" for text in written)
        notes = [row["meaning"].rstrip(".")]
        notes += ["may be repeated"] if row["repeatable"] else []
        default = "required" if row["required"] else f"`{row['default']}`" if row["default"] else ""
        variable = f"`{row['variable']}`" if row["variable"] else ""
        meaning = "; ".join(note for note in notes if note).replace("|", "\\|")
        lines.append(f"| {named} | {variable} | {default} | {meaning} |")
    return lines
