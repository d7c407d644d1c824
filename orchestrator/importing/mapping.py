"""The mapping: what the columns, commands or labels of somebody's result files mean. One YAML file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from contract.campaign import Frozen, Limits, Name, Scalar
from contract.errors import CampaignError
from contract.names import plain_name
from contract.yaml_source import YamlSource, load_yaml
from orchestrator.importing.stages import StageName, check_stages

Unit = Literal["ns", "us", "ms", "s"]
FailureOutcome = Literal["failed", "timeout", "censored"]


def _column(given: Any) -> Any:
    """One complaint where pydantic would give one for each type of a union, here and below."""
    number = isinstance(given, int) and not isinstance(given, bool) and given >= 1
    if number or (isinstance(given, str) and given):
        return given
    raise ValueError("a name in the header, or a number from 1")


ColumnName = Annotated[str | int, BeforeValidator(_column)]


class ColumnReference(Frozen):
    """A column whose text in each row is the value: ``{column: runtime}``."""

    column: ColumnName


def _name_or_column(given: Any) -> Any:
    if isinstance(given, str):
        return plain_name(given)
    return _reference(given, "a name, or {column: NAME}")


def _value_or_column(given: Any) -> Any:
    if isinstance(given, Scalar):
        return given
    return _reference(given, "text, a number, true, false, null, or {column: NAME}")


def _reference(given: Any, allowed: str) -> ColumnReference:
    if isinstance(given, ColumnReference):
        return given
    if not isinstance(given, dict) or set(given) != {"column"}:
        raise ValueError(allowed)
    return ColumnReference(column=_column(given["column"]))


def _names(given: Any) -> Any:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError("a name or pattern, or a list of these")
    return tuple(names)


def _as_json(given: Any) -> Any:
    """Facts as JSON has them; a date of YAML becomes text."""
    try:
        return json.loads(json.dumps(given, default=str, allow_nan=False))
    except ValueError as error:
        raise ValueError("numbers that are finite") from error


NameOrColumn = Annotated[str | ColumnReference, BeforeValidator(_name_or_column)]
ValueOrColumn = Annotated[Scalar | ColumnReference, BeforeValidator(_value_or_column)]


class StageColumn(Frozen):
    """Where the durations of one stage stand: in a column, or the same value in every row."""

    stage: StageName
    column: ColumnName | None = Field(None, description="name in the header, or number from 1")
    value: float | None = Field(None, ge=0, description="the same in every row, instead of a column")
    unit: Unit

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("either a column or a value")
        return self


def _stages_fit(stages: tuple[StageColumn, ...]) -> tuple[StageColumn, ...]:
    check_stages([stage.stage for stage in stages])
    return stages


Stages = Annotated[tuple[StageColumn, ...], AfterValidator(_stages_fit)]


class BlockRule(Frozen):
    """How rows form blocks, the unit of replication: every N rows, by a column, or the whole file."""

    every: int | None = Field(None, ge=1, description="this many rows of a cell, in file order")
    column: ColumnName | None = Field(None, description="rows with the same text are one block")

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, given: Any) -> Any:
        if given == "file":
            return {}
        if not isinstance(given, dict | BlockRule) or (isinstance(given, dict) and len(given) != 1):
            raise ValueError("'file', {every: N} or {column: NAME}")
        return given


class FailureRule(Frozen):
    """What marks a row as a failed attempt. What nothing marks, and is no duration, is an error."""

    values: tuple[str, ...] = Field((), description="texts in a duration column that stand for none")
    negative: bool = Field(False, description="a negative duration stands for none")
    column: ColumnName | None = Field(None, description="a column that says how the row ended")
    ok: tuple[str, ...] = Field(("ok", "0", "true"), description="its texts that say: well")
    outcome: FailureOutcome = "failed"

    @model_validator(mode="before")
    @classmethod
    def _take_values_as_text(cls, given: Any) -> Any:
        """``values: [-1, NaN]``: YAML reads numbers where the text is meant."""
        if not isinstance(given, dict):
            return given
        listed = {key: given[key] for key in ("values", "ok") if isinstance(given.get(key), list)}
        return given | {key: [_as_written(value) for value in some] for key, some in listed.items()}


class Layout(Frozen):
    """How a file of columns is laid out."""

    delimiter: str = Field(",", min_length=1, description="one character, or 'whitespace'")
    header: bool = Field(False, description="the first row names the columns")
    comment: str = Field("#", description="lines that begin so are no rows; empty: there are none")
    skip_lines: int = Field(0, ge=0, description="lines before everything else that are no rows")

    @model_validator(mode="after")
    def _one_character(self) -> Self:
        if self.delimiter != "whitespace" and len(self.delimiter) != 1:
            raise ValueError("a delimiter of one character, or 'whitespace'")
        return self


class Mapping(Frozen):
    """What is said of results as a whole."""

    campaign: Name | None = Field(None, description="name of the dataset")
    description: str = Field("", max_length=2000)
    measured_by: str = Field(min_length=1, max_length=500, description="who measured it, in words")
    measured_at: datetime | None = Field(None, description="when, where files do not say it")
    origin: str = Field("", max_length=1000, description="where the files come from")
    license: str = Field("", max_length=200, description="under which licence")
    experiment: Literal["lifecycle"] = "lifecycle"
    host: NameOrColumn = "unknown"
    image: str = Field("not said", min_length=1, max_length=1000)
    limits: Limits = Limits()
    emulated: bool = Field(False, description="virtual machines ran on an emulated CPU")
    facts: Annotated[dict[str, Any], BeforeValidator(_as_json)] = Field(
        {}, description="what shaped the numbers on that host"
    )
    labels: dict[str, str] = Field({}, description="labels of the host; 'class' names its class")
    versions: dict[str, str] = {}

    @property
    def started_at_ns(self) -> int | None:
        """The moment that the mapping names, ns since 1970 UTC; a time without a zone is UTC."""
        if self.measured_at is None:
            return None
        moment = self.measured_at
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return round(moment.timestamp() * 1e6) * 1000


class FileEntry(Frozen):
    """Some files of columns, and what is the same in all their rows. It wins over the top level."""

    files: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        description="names or patterns such as boot-*.csv"
    )
    driver: NameOrColumn
    profile: NameOrColumn = "default"
    host: NameOrColumn | None = None
    params: dict[str, ValueOrColumn] = {}
    image: str | None = None
    limits: Limits | None = None
    warm_ups: int = Field(0, ge=0, description="first rows of each file: kept, marked, not counted")
    stages: Stages = ()
    block: BlockRule | None = None
    failure: FailureRule | None = None
    layout: Layout | None = None


class ColumnsMapping(Mapping):
    """Files of columns: CSV, or separated by blanks."""

    interleaved: bool = Field(
        False, description="blocks of one number were measured in turn, so that cells can be paired"
    )
    params: dict[str, ValueOrColumn] = {}
    stages: Stages = ()
    block: BlockRule = Field(description="what of the rows is one block")
    failure: FailureRule = FailureRule()
    layout: Layout = Layout()
    entries: tuple[FileEntry, ...] = Field(min_length=1)


class CommandEntry(Frozen):
    """Commands of hyperfine whose name or text is this; ``*`` stands for anything."""

    command: str
    driver: Name = "command"
    profile: Name | None = None
    params: dict[str, Scalar] = {}
    parameters: dict[str, str] = Field(
        {}, description="conditions taken from hyperfine's parameters: ours: theirs"
    )


class HyperfineMapping(Mapping):
    """JSON that ``hyperfine --export-json`` wrote: each file is one pass over its commands."""

    measured_by: str = Field("somebody with hyperfine", min_length=1, max_length=500)
    block: BlockRule = BlockRule.model_validate("file")
    commands: tuple[CommandEntry, ...] = ()

    @model_validator(mode="after")
    def _no_columns(self) -> Self:
        if self.block.column is not None:
            raise ValueError("block 'file' or {every: N}: hyperfine's files have no columns")
        return self


class LabelEntry(Frozen):
    """One label of an incus-benchmark report: which stage its whole batches took."""

    stage: Literal["e2e", "create", "exit", "delete"]
    driver: Name | None = None
    profile: Name | None = None


class IncusMapping(Mapping):
    """CSV that ``incus-benchmark --report-file`` wrote: a row is the time of a whole batch."""

    driver: Name = "incus"
    profile: Name = "default"
    count: int = Field(ge=1, description="--count: instances of one run")
    parallel: int = Field(ge=1, description="--parallel: at a time")
    interleaved: bool = False
    labels_of_rows: dict[str, LabelEntry] = {}


Some = TypeVar("Some", bound=Mapping)


def load_mapping(path: Path, model: type[Some]) -> tuple[Some, YamlSource]:
    """Read and check a mapping. Raises CampaignError with file, line, key, found and allowed."""
    source = load_yaml(path)
    if not isinstance(source.data, dict):
        raise source.error((), source.data, "a mapping with 'measured_by' and what the files hold")
    try:
        found = model.model_validate(source.data)
    except ValidationError as error:
        raise source.refuse(error, model) from error
    if isinstance(found, ColumnsMapping):
        _check_entries(found, source)
    return found, source


def _check_entries(mapping: ColumnsMapping, source: YamlSource) -> None:
    for number, entry in enumerate(mapping.entries):
        where = ("entries", number)
        if not (entry.stages or mapping.stages):
            raise CampaignError(
                f"{source.path}:{source.line(where)}: no 'stages': name at least one column of durations"
            )
        params = mapping.params | entry.params
        if "concurrency" not in params:
            raise CampaignError(
                f"{source.path}:{source.line(where)}: 'params' without 'concurrency': say how many "
                "instances were in flight (0: they arrived at a rate)"
            )
        _check_named_columns(mapping, entry, source.error((*where, "layout"), "header: false", "true"))


def _check_named_columns(mapping: ColumnsMapping, entry: FileEntry, error: CampaignError) -> None:
    """Columns can be named only where a header names them."""
    block, failure = entry.block or mapping.block, entry.failure or mapping.failure
    used = [stage.column for stage in entry.stages or mapping.stages]
    used += [block.column, failure.column]
    said: list[object] = [entry.driver, entry.profile, entry.host or mapping.host]
    said += (mapping.params | entry.params).values()
    used += [value.column for value in said if isinstance(value, ColumnReference)]
    if any(isinstance(column, str) for column in used) and not (entry.layout or mapping.layout).header:
        raise error


def _as_written(value: Any) -> str:
    if isinstance(value, float):
        return "NaN" if value != value else f"{value:g}"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
