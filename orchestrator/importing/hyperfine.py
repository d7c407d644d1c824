"""JSON of ``hyperfine --export-json``: the form of 1.x, and that of 2.x with ``schema_version`` 2."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from contract.errors import SourceError
from orchestrator.importing.collecting import Collection, Observation, Said, SourceFile, cell_of
from orchestrator.importing.mapping import CommandEntry, HyperfineMapping

MOST_BYTES = 500_000_000
_LONGEST_S = 1e9


@dataclass(frozen=True, slots=True)
class _Command:
    """One command of one file with its runs: seconds, and exit code where one is known."""

    text: str
    name: str
    parameters: dict[str, Any]
    runs: Sequence[tuple[float, int | None]]


def read_hyperfine(sources: Sequence[SourceFile], mapping: HyperfineMapping, into: Collection) -> None:
    """Put all runs into the collection: a file is a block of every command in it.

    Raises SourceError with file, place, what was found and what is allowed.
    """
    profiles: dict[tuple[str, int], str] = {}
    for number, source in enumerate(sources):
        content = _load(source)
        began = _began(content)
        times_seen: Counter[str] = Counter()
        for command in _commands(source, content):
            times_seen[command.name] += 1
            profile = _profile(profiles, command.name, times_seen[command.name])
            _add(source, command, _said(mapping, command, profile), (mapping, into, number, began))


def _add(
    source: SourceFile,
    command: _Command,
    said: CommandEntry,
    into: tuple[HyperfineMapping, Collection, int, int | None],
) -> None:
    mapping, collection, number, began = into
    missing = sorted(set(said.parameters.values()) - set(command.parameters))
    if missing:
        known = ", ".join(sorted(command.parameters)) or "none: it has no parameters"
        raise SourceError(
            f"{source.path}: {command.name!r}: parameter: found {missing[0]!r}; allowed: {known}"
        )
    taken = {ours: _plain(command.parameters[theirs]) for ours, theirs in said.parameters.items()}
    cell = cell_of(
        mapping,
        Said(str(mapping.host), said.driver, said.profile or "default"),
        {"concurrency": 1, "ready": "exit"} | said.params | taken,
        {"command": command.text, "parameters": command.parameters},
    )
    every = mapping.block.every
    block = number
    for index, (seconds, code) in enumerate(command.runs):
        if every and index % every == 0:
            block = collection.next_block(cell)
        failed = None if code == 0 else "killed by a signal" if code is None else f"exit code {code}"
        took = None if failed else round(seconds * 1e9)
        collection.add(cell, block, Observation((("e2e", took),), failed), source, began)


def _load(source: SourceFile) -> dict[str, Any]:
    try:
        if source.path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{source.path}: larger than {MOST_BYTES:,} bytes")
        content = json.loads(source.path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{source.path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise SourceError(f"{source.path}:{error.lineno}: this is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{source.path}: this is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        raise SourceError(f"{source.path}: no list 'results': not written by hyperfine --export-json")
    version = content.get("schema_version", 1)
    if version not in (1, 2):
        raise SourceError(f"{source.path}: schema_version: found {version!r}; allowed: 1 (absent) or 2")
    return content


def _commands(source: SourceFile, content: dict[str, Any]) -> Iterator[_Command]:
    if not content["results"]:
        raise SourceError(f"{source.path}: results: found none; allowed: at least one command")
    for number, result in enumerate(content["results"]):
        where = f"{source.path}: results[{number}]"
        if not isinstance(result, dict) or not isinstance(result.get("command"), str):
            raise SourceError(f"{where}: no text 'command'")
        runs = _runs_of_2(where, result) if "measurements" in result else _runs_of_1(where, result)
        if not runs:
            raise SourceError(f"{where}: no run of it")
        parameters = result.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise SourceError(f"{where}: parameters: found {parameters!r:.60}; allowed: a mapping")
        named = result.get("name")
        name = named if isinstance(named, str) and named else result["command"]
        values = {k: v.get("value") if isinstance(v, dict) else v for k, v in parameters.items()}
        yield _Command(result["command"], name, values, runs)


def _runs_of_1(where: str, result: dict[str, Any]) -> list[tuple[float, int | None]]:
    times, codes = result.get("times"), result.get("exit_codes")
    if not isinstance(times, list):
        raise SourceError(f"{where}: times: found {times!r:.60}; allowed: a list of seconds")
    if codes is None:  # before 1.12, which gave up at the first failure
        codes = [0] * len(times)
    if not isinstance(codes, list) or len(codes) != len(times):
        raise SourceError(f"{where}: exit_codes: allowed: one for each of {len(times)} times")
    return [
        (_seconds(f"{where}.times[{i}]", time), _code(f"{where}.exit_codes[{i}]", code))
        for i, (time, code) in enumerate(zip(times, codes, strict=True))
    ]


def _runs_of_2(where: str, result: dict[str, Any]) -> list[tuple[float, int | None]]:
    runs = result["measurements"]
    if not isinstance(runs, list):
        raise SourceError(f"{where}: measurements: found {runs!r:.60}; allowed: a list")
    found = []
    for i, run in enumerate(runs):
        wall = run.get("time_wall_clock") if isinstance(run, dict) else None
        here = f"{where}.measurements[{i}]"
        if not isinstance(wall, dict) or wall.get("unit") != "second":
            raise SourceError(f"{here}: time_wall_clock: found {wall!r:.60}; allowed: seconds")
        found.append((_seconds(here, wall.get("value")), _code(here, run.get("exit_code"))))
    return found


def _seconds(where: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LONGEST_S:
        raise SourceError(f"{where}: found {value!r:.60}; allowed: seconds from 0")
    return float(value)


def _code(where: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise SourceError(f"{where}: exit code: found {value!r:.60}; allowed: a whole number or null")
    return value


def _began(content: dict[str, Any]) -> int | None:
    """When the file says that it was begun, ns since 1970 UTC. Only 2.x says it."""
    said = content.get("metadata")
    text = said.get("start_time") if isinstance(said, dict) else None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else round(moment.timestamp() * 1e9)


def _said(mapping: HyperfineMapping, command: _Command, profile: str) -> CommandEntry:
    """What the mapping says of a command; without a word of it, each is a profile of its own."""
    for entry in mapping.commands:
        if any(fnmatchcase(text, entry.command) for text in (command.name, command.text)):
            return entry if entry.profile else entry.model_copy(update={"profile": profile})
    return CommandEntry(command=command.name, profile=profile)


def _profile(known: dict[tuple[str, int], str], name: str, time: int) -> str:
    """A plain name for a command, the same in every file, and no other's."""
    if (name, time) not in known:
        plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:56].strip("-._") or "command"
        taken = set(known.values())
        numbered = (f"{plain}-{n}" if n > 1 else plain for n in range(1, len(known) + 2))
        known[name, time] = next(candidate for candidate in numbered if candidate not in taken)
    return known[name, time]


def _plain(value: Any) -> Any:
    """hyperfine's parameters are text; what is a number becomes one."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    return float(value) if re.fullmatch(r"[+-]?[0-9]+\.[0-9]+", value) else value
