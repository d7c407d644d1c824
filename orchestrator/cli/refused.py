"""hosts --refused: messages that were not believed, and why."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.tabulate import tabulate

if TYPE_CHECKING:
    import redis

    from contract.refusals import Entry
    from contract.signing import Keys


def list_refused(client: "redis.Redis[bytes]", keys: "Keys | None", *, as_json: bool) -> None:
    """Print them, the latest last. Run and trial are what the message claimed."""
    from contract.refusals import last_refusals

    entries = last_refusals(client)
    if as_json:
        said = [{"at_s": e.at_s, "word": _word(e, keys), **e.refusal.model_dump()} for e in entries]
        typer.echo(json.dumps(said))
        return
    if not entries:
        typer.echo("no message was refused")
        return
    heads = ("AT (UTC)", "HOST", "BY", "WORD", "CAUSE", "CLAIMED TRIAL", "WHY")
    typer.echo("\n".join(tabulate([heads, *(_row(entry, keys) for entry in entries)])))


def _row(entry: "Entry", keys: "Keys | None") -> tuple[str, ...]:
    refusal = entry.refusal
    at = datetime.fromtimestamp(entry.at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    trial = refusal.trial[:12] or "-"
    return (at, refusal.host, refusal.by, _word(entry, keys), refusal.cause, trial, refusal.text)


def _word(entry: "Entry", keys: "Keys | None") -> str:
    """Whether it is the host's own word."""
    from contract.errors import KeyFileError

    if keys is None or not entry.mac:
        return "signed, not checked" if entry.mac else "unsigned"
    try:
        return "signed" if entry.is_of(keys.of(entry.refusal.host)) else "forged"
    except KeyFileError:
        return "no key"
