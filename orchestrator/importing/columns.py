"""Files of columns: CSV with any delimiter, or columns separated by blanks."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from contract.campaign import Scalar
from contract.errors import SourceError
from contract.names import plain_name
from orchestrator.importing.collecting import (
    Collection,
    ImportedCell,
    Observation,
    Said,
    SourceFile,
    cell_of,
)
from orchestrator.importing.mapping import (
    BlockRule,
    ColumnReference,
    ColumnsMapping,
    FailureRule,
    FileEntry,
    Layout,
    StageColumn,
)
from orchestrator.importing.stages import StagesDoNotFit, lay_out

_NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MOST_NS = 10**9 * 60 * 60 * 24 * 366 * 100
"""A hundred years: what is longer was read in a wrong unit."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file: its fields, and where it stands."""

    path: Path
    number: int
    fields: Sequence[str]

    def error(self, what: str, found: object, allowed: str) -> SourceError:
        """A complaint that names file, line, what was found and what is allowed."""
        return SourceError(f"{self.path}:{self.number}: {what}: found {found!r}; allowed: {allowed}")


def read_columns(
    source: SourceFile, mapping: ColumnsMapping, entry: FileEntry, into: Collection
) -> None:
    """Put the rows of one file into the collection. Raises SourceError with file and line."""
    layout = entry.layout or mapping.layout
    reader = _Reader(mapping, entry, into, source)
    rows = _lines(source.path, layout)
    if layout.header:
        head = next(rows, None)
        if head is None:
            raise SourceError(f"{source.path}: no row, where a header was to name the columns")
        reader.header(head)
    count = 0
    for line in rows:
        reader.take(line)
        count += 1
    if not count:
        raise SourceError(f"{source.path}: no row: every line is empty, a comment or skipped")


def _lines(path: Path, layout: Layout) -> Iterator[Line]:
    """Rows that count, each with its line number."""
    at = 0

    def counted(lines: Iterator[str]) -> Iterator[str]:
        nonlocal at
        for at, text in enumerate(lines, start=1):
            comment = layout.comment and text.lstrip().startswith(layout.comment)
            if at > layout.skip_lines and text.strip() and not comment:
                yield text

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if layout.delimiter == "whitespace":
                yield from (Line(path, at, text.split()) for text in counted(file))
            else:
                rows = csv.reader(counted(file), delimiter=layout.delimiter, strict=True)
                yield from (Line(path, at, [text.strip() for text in row]) for row in rows)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}:{at}: cannot be read as columns: {error}") from error


class _Reader:
    """Rows of one file, one after another."""

    def __init__(
        self, mapping: ColumnsMapping, entry: FileEntry, into: Collection, source: SourceFile
    ) -> None:
        self._mapping, self._entry, self._into, self._source = mapping, entry, into, source
        self._stages: tuple[StageColumn, ...] = entry.stages or mapping.stages
        self._block: BlockRule = entry.block or mapping.block
        self._failure: FailureRule = entry.failure or mapping.failure
        self._params = mapping.params | entry.params
        self._names: list[str] = []
        self._width: int | None = None
        self._seen: Counter[ImportedCell] = Counter()
        self._open: dict[ImportedCell, int] = {}
        """The cell's block that rows go into now."""

    def header(self, line: Line) -> None:
        """Take the names of columns."""
        self._names = list(line.fields)
        self._width = len(self._names)
        if len(set(self._names)) < self._width:
            twice = next(name for name, n in Counter(self._names).items() if n > 1)
            raise line.error("header", twice, "every column's name once")

    def take(self, line: Line) -> None:
        """Put one row where it belongs."""
        self._width = self._width or len(line.fields)
        if len(line.fields) != self._width:
            raise line.error("columns", len(line.fields), f"{self._width}, as in the rows before")
        cell = self._cell(line)
        durations, failed = self._durations(line)
        failed = self._said_failed(line) or failed
        if failed:  # a duration of an attempt that failed is not one of getting there
            durations = {
                name: ns if name not in ("e2e", "reply") else None for name, ns in durations.items()
            }
        try:
            lay_out(durations)
        except StagesDoNotFit as error:
            raise line.error("stages", str(error), "stages that fit into one another") from error
        warm_up = sum(self._seen.values()) < self._entry.warm_ups
        block = self._block_of(line, cell)
        self._seen[cell] += 1
        observation = Observation(tuple(durations.items()), failed, warm_up, self._failure.outcome)
        self._into.add(cell, block, observation, self._source)

    def _cell(self, line: Line) -> ImportedCell:
        entry, mapping = self._entry, self._mapping
        params = {key: self._value(line, value) for key, value in self._params.items()}
        for name, least in (("concurrency", 0), ("residents", 0)):
            count = params.get(name, 0)
            if isinstance(count, bool) or not isinstance(count, int) or not least <= count < 2**31:
                raise line.error(name, count, "a whole number from 0")
        said = Said(
            host=self._name(line, "host", entry.host or mapping.host),
            driver=self._name(line, "driver", entry.driver),
            profile=self._name(line, "profile", entry.profile),
            image=entry.image,
            limits=entry.limits,
        )
        return cell_of(mapping, said, params)

    def _name(self, line: Line, what: str, given: str | ColumnReference) -> str:
        if isinstance(given, str):
            return given
        text = self._text(line, given.column)
        try:
            return plain_name(text)
        except ValueError as error:
            raise line.error(what, text, str(error)) from error

    def _value(self, line: Line, given: Scalar | ColumnReference) -> Scalar:
        """A parameter's value; text that is a number is one."""
        if not isinstance(given, ColumnReference):
            return given
        text = self._text(line, given.column)
        if not _NUMBER.fullmatch(text):
            return text
        number = float(text)
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else number

    def _text(self, line: Line, column: str | int) -> str:
        place = self._place(line, column)
        return line.fields[place]

    def _place(self, line: Line, column: str | int) -> int:
        if isinstance(column, str):
            if column not in self._names:
                raise line.error("column", column, f"one of {', '.join(self._names)}")
            return self._names.index(column)
        if not 1 <= column <= len(line.fields):
            raise line.error("column", column, f"1 to {len(line.fields)}")
        return column - 1

    def _durations(self, line: Line) -> tuple[dict[str, int | None], str | None]:
        found: dict[str, int | None] = {}
        failed = None
        for stage in self._stages:
            if stage.column is None:
                found[stage.stage] = round(Decimal(str(stage.value)) * _NANOSECONDS[stage.unit])
                continue
            text = self._text(line, stage.column)
            found[stage.stage] = ns = self._nanoseconds(line, stage, text)
            if ns is None and stage.stage != "guest_uptime":
                failed = failed or f"{stage.stage}: {text or 'empty'}"
        return found, failed

    def _nanoseconds(self, line: Line, stage: StageColumn, text: str) -> int | None:
        """A duration in ns; None for a text that stands for a failure. Exact: no floating point."""
        if text in self._failure.values:
            return None
        if not _NUMBER.fullmatch(text):
            raise line.error(stage.stage, text, f"a number ({stage.unit}){self._marks()}")
        ns = Decimal(text) * _NANOSECONDS[stage.unit]
        if ns < 0:
            if self._failure.negative:
                return None
            raise line.error(stage.stage, text, f"a duration from 0{self._marks()}")
        if ns > _MOST_NS:
            raise line.error(stage.stage, text, f"at most a hundred years, in {stage.unit}")
        return round(ns)

    def _marks(self) -> str:
        marks = [repr(value) for value in self._failure.values]
        return f", or {', '.join(marks)} for a failure" if marks else ""

    def _said_failed(self, line: Line) -> str | None:
        """What the file says of how the row ended, where that is not well."""
        if self._failure.column is None:
            return None
        text = self._text(line, self._failure.column)
        return None if text in self._failure.ok else f"{self._failure.column}: {text or 'empty'}"

    def _block_of(self, line: Line, cell: ImportedCell) -> int:
        rule = self._block
        if rule.column is not None:
            return self._into.labelled_block(self._text(line, rule.column))
        begins = cell not in self._open if rule.every is None else self._seen[cell] % rule.every == 0
        if begins:
            self._open[cell] = self._into.next_block(cell)
        return self._open[cell]
