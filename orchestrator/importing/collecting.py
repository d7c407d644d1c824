"""Observations of others sorted into cells and blocks, and turned into trial records with rows."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from contract.campaign import Limits
from contract.errors import SourceError
from contract.parts import IMPORTED, TrialRecord
from contract.rows import InstanceRow, Rows
from contract.trial import InstanceOutcome, Trial, canonical_json
from contract.yaml_source import in_words
from orchestrator.importing.mapping import Mapping
from orchestrator.importing.stages import lay_out

MOST_TRIALS = 1_000_000
NOT_JUDGED = "imported: not judged by Tonnage"
NOT_SAID = "not said"
SAID_FAILED = "said_failed"
"""Error class of an attempt of which the file itself says that it failed."""
_NO_DEADLINE_S = 1.0
"""A trial needs a deadline; of an imported one nobody knows it, and its table holds null."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of results as it was found."""

    path: Path
    name: str
    """As the dataset calls it: relative to the folder that was given."""
    sha256: str

    @classmethod
    def at(cls, path: Path, name: str) -> "SourceFile":
        """The file with its checksum. Raises SourceError when it cannot be read."""
        try:
            with path.open("rb") as stream:
                return cls(path, name, hashlib.file_digest(stream, "sha256").hexdigest())
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class ImportedCell:
    """What an observation is one of: everything that keeps trials apart, but the block."""

    host: str
    driver: str
    profile: str
    params: str
    """Canonical JSON, as are limits and settings."""
    image: str
    limits: str
    settings: str = "{}"


class Observation(NamedTuple):
    """One row of a file."""

    durations: tuple[tuple[str, int | None], ...]
    """Nanoseconds by stage; None where the attempt did not get through it."""
    failed: str | None = None
    """How the file says that the attempt failed; None for one that did not."""
    warm_up: bool = False
    failed_as: InstanceOutcome = "failed"
    """How its row ends, where it failed."""


@dataclass(slots=True)
class _Block:
    observations: list[Observation] = field(default_factory=list)
    files: dict[SourceFile, None] = field(default_factory=dict)
    started_at_ns: int | None = None


class Collection:
    """All observations of one import, by cell and block."""

    def __init__(self, mapping: Mapping, campaign: str, form: str, *, interleaved: bool) -> None:
        self._mapping, self._campaign = mapping, campaign
        self._facts = _facts_of(mapping, form, interleaved=interleaved)
        self._cells: dict[ImportedCell, dict[int, _Block]] = {}
        self._labels: dict[str, int] = {}

    def next_block(self, cell: ImportedCell) -> int:
        """The number of a block that the cell does not have yet."""
        return len(self._cells.get(cell, {}))

    def labelled_block(self, label: str) -> int:
        """The number of the block that files call ``label``: the same for all cells."""
        return self._labels.setdefault(label, len(self._labels))

    def add(
        self,
        cell: ImportedCell,
        block: int,
        observation: Observation,
        source: SourceFile,
        started_at_ns: int | None = None,
    ) -> None:
        """Keep one observation, where it belongs."""
        found = self._cells.setdefault(cell, {}).setdefault(block, _Block())
        found.observations.append(observation)
        found.files[source] = None
        found.started_at_ns = found.started_at_ns or started_at_ns

    def trials(self) -> Iterator[tuple[TrialRecord, Rows]]:
        """A record and its rows per cell and block, host by host. Raises SourceError."""
        if sum(map(len, self._cells.values())) > MOST_TRIALS:
            raise SourceError(f"more than {MOST_TRIALS:,} blocks: take more rows into one")
        ordered = sorted(self._cells.items(), key=lambda item: item[0].host)
        for order, (cell, blocks) in enumerate(ordered):
            for number, block in sorted(blocks.items()):
                yield self._trial(cell, number, order, block)

    def _trial(
        self, cell: ImportedCell, number: int, order: int, block: _Block
    ) -> tuple[TrialRecord, Rows]:
        params: dict[str, Any] = json.loads(cell.params)
        content = {
            "campaign": self._campaign,
            "host": cell.host,
            "block": number,
            "order": order,
            "experiment": self._mapping.experiment,
            "driver": cell.driver,
            "profile": cell.profile,
            "settings": json.loads(cell.settings),
            "params": params,
            "image": cell.image,
            "limits": json.loads(cell.limits),
            "deadline_s": _NO_DEADLINE_S,
            "seed": 0,
        }
        trial = _checked(content, block)
        files = [{"file": source.name, "sha256": source.sha256} for source in block.files]
        record = TrialRecord(
            trial=trial,
            outcome="completed",
            verdict="valid",
            reasons=(NOT_JUDGED,),
            emulated=self._mapping.emulated,
            virtual=False,
            started_at_ns=block.started_at_ns or self._mapping.started_at_ns,
            facts=self._facts | {IMPORTED: self._facts[IMPORTED] | {"files": files}},
            versions=self._mapping.versions,
        )
        rows = _rows_of(block.observations, params)
        return record, Rows(instances=rows)


def _rows_of(observations: Sequence[Observation], params: dict[str, Any]) -> list[InstanceRow]:
    same: dict[str, Any] = {
        "concurrency": int(params["concurrency"]),
        "residents": int(params.get("residents") or 0),
        "ready_level": str(params.get("ready", NOT_SAID)),
    }
    rows = []
    for index, seen in enumerate(observations):
        ended: dict[str, Any] = {"outcome": "ok"}
        if seen.failed is not None:
            ended = {"outcome": seen.failed_as, "error_class": SAID_FAILED, "error_text": seen.failed}
        stamps: dict[str, Any] = dict(lay_out(dict(seen.durations)))
        rows.append(InstanceRow(index, warm_up=seen.warm_up, **same, **ended, **stamps))
    return rows


def _facts_of(mapping: Mapping, form: str, *, interleaved: bool) -> dict[str, Any]:
    """What the mapping says of the host, and where the numbers come from."""
    origin = {
        "format": form,
        "measured_by": mapping.measured_by,
        "origin": mapping.origin,
        "license": mapping.license,
        "interleaved": interleaved,
    }
    labels = {"labels": mapping.labels} if mapping.labels else {}
    return (
        mapping.facts | labels | {IMPORTED: {key: value for key, value in origin.items() if value != ""}}
    )


class Said(NamedTuple):
    """What a file's entry says of a cell; where it says nothing, the mapping speaks."""

    host: str
    driver: str
    profile: str
    image: str | None = None
    limits: Limits | None = None


def cell_of(
    mapping: Mapping, said: Said, params: dict[str, Any], settings: dict[str, Any] | None = None
) -> ImportedCell:
    """The cell of what is said, with what the mapping says of all."""
    return ImportedCell(
        host=said.host,
        driver=said.driver,
        profile=said.profile,
        params=canonical_json(params),
        image=said.image or mapping.image,
        limits=canonical_json((said.limits or mapping.limits).model_dump()),
        settings=canonical_json(settings or {}),
    )


def _checked(content: dict[str, Any], block: _Block) -> Trial:
    try:
        return Trial.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = next(iter(block.files)).path
        key = ".".join(map(str, problem["loc"]))
        raise SourceError(
            f"{where}: {key}: found {problem['input']!r}; allowed: {in_words(problem)}"
        ) from error
