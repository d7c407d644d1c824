"""The campaign: what a person asks for, as one YAML file. Frozen once loaded."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from contract.host_conditions import Condition, parse_condition
from contract.names import plain_name
from contract.places import check_place
from contract.plain_text import plain_line
from contract.yaml_source import YamlSource, load_yaml

Name = Annotated[str, AfterValidator(plain_name)]
"""Names of campaigns, hosts and profiles: they become file, queue and label names."""


def image_name(name: str) -> str:
    """The name itself. Raises ValueError for one that could be an option, or leave where it begins."""
    plain_line(name)
    if name.startswith("-"):
        raise ValueError("an image's name or absolute path, which does not begin with '-'")
    if ".." in name.split("/"):
        raise ValueError("an image's name or absolute path without '..'")
    return name


Image = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(image_name)]
"""What instances are made from: ``tiny``, a name that the engine knows, or an absolute path."""

Scalar = str | int | float | bool | None

MAX_CELLS = 10_000
"""Of one experiment's lists; all experiments of a campaign together may have twice as many."""
MAX_TRIALS = 1_000_000
"""Of one plan: a coordinator holds it in memory, some 1.4 KB per trial."""


def _refuse_nesting(given: Any) -> Any:
    """One complaint where pydantic would give one for every type of the union."""
    if all(isinstance(value, Scalar) for value in (given if isinstance(given, list) else [given])):
        return given
    raise ValueError("text, a number, true, false, null, or a list of these")


Values = Annotated[Scalar | list[Scalar], BeforeValidator(_refuse_nesting)]
"""One value of a parameter, or those that it shall take in turn."""


class Frozen(BaseModel):
    """Base of everything that travels: unknown keys refused, nothing changed after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _condition(text: str) -> str:
    parse_condition(text)
    return text


def _place(text: str) -> str:
    return check_place(text) if text else text


Place = Annotated[str, AfterValidator(_place)]
"""Where parts go: a path that all share, or ``s3://BUCKET/PREFIX``; empty: through the broker."""


class HostSelection(Frozen):
    """Which hosts measure: all that are alive, or those named, or those that are as asked for."""

    names: tuple[Name, ...] = ()
    labels: dict[str, str] = {}
    facts: tuple[Annotated[str, AfterValidator(_condition)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, given: Any) -> Any:
        if given == "all":
            return {}
        if isinstance(given, list):
            return {"names": given}
        if not isinstance(given, dict | HostSelection):
            raise ValueError("'all', a list of host names, or a mapping with names, labels or facts")
        return given

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the facts of a host must be like."""
        return tuple(parse_condition(text) for text in self.facts)

    def chooses(self, name: str, labels: Mapping[str, str], facts: Mapping[str, Any]) -> bool:
        """Whether the host ``name`` with these labels and facts takes part."""
        if self.names and name not in self.names:
            return False
        labelled = all(labels.get(key) == value for key, value in self.labels.items())
        return labelled and all(condition.holds(facts) for condition in self.conditions)


class Limits(Frozen):
    """What every instance may use, the same for all drivers: fair pairs need equal limits."""

    cpus: float | None = Field(None, gt=0, le=4096, description="CPU seconds per second")
    memory_mib: int | None = Field(None, ge=4, le=16_777_216, description="memory, MiB")


class ExperimentEntry(Frozen):
    """One experiment of a campaign: its drivers or profiles, and a value or list per parameter."""

    experiment: str
    drivers: tuple[str, ...] = Field(min_length=1, description="drivers, or names of profiles")
    params: dict[str, Values] = {}
    limits: Limits | None = None
    image: Image | None = Field(None, description="overrides the campaign's image")
    deadline_s: float | None = Field(None, gt=0, le=86_400)

    @field_validator("params")
    @classmethod
    def _bound_the_matrix(cls, params: dict[str, Any]) -> dict[str, Any]:
        cells = math.prod(len(value) for value in params.values() if isinstance(value, list))
        if any(value == [] for value in params.values()):
            raise ValueError("at least one value in every list")
        if cells > MAX_CELLS:
            raise ValueError(f"at most {MAX_CELLS} combinations, these lists make {cells}")
        return params


class Profile(BaseModel):
    """A named variant of a driver: the driver's name, and that driver's own settings beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    driver: str

    @property
    def settings(self) -> dict[str, Any]:
        """The driver's own settings, checked later against what the driver declares."""
        return dict(self.model_extra or {})


class Campaign(Frozen):
    """Everything a campaign asks for. Defaults are the standard design, cut to a first look."""

    campaign: Name = Field(description="name; also the name of its results folder")
    description: str = Field("", max_length=2000)
    hosts: HostSelection = HostSelection()
    blocks: int = Field(3, ge=1, le=10_000, description="passes over all cells on each host")
    seed: int = Field(1, ge=0, lt=2**63, description="fixes every random order and choice")
    deadline_s: float = Field(300, gt=0, le=86_400, description="longest time of one trial")
    limits: Limits = Limits()
    image: Image = "tiny"
    results: Place = Field(
        "", max_length=1000, description="where parts go: a path that all share, or s3://BUCKET/PREFIX"
    )
    profiles: dict[Name, Profile] = {}
    experiments: tuple[ExperimentEntry, ...] = Field(min_length=1)


def load_campaign(path: Path) -> tuple[Campaign, YamlSource]:
    """Read and check the shape of a campaign file.

    Returns the frozen campaign and its source, which knows the line of every key. Raises
    CampaignError with file, line, key, what was found and what is allowed. Experiments, drivers and
    their parameters are checked by planning, which knows the catalog.
    """
    source = load_yaml(path)
    if not isinstance(source.data, dict):
        raise source.error((), source.data, "a mapping with at least 'campaign' and 'experiments'")
    try:
        return Campaign.model_validate(source.data), source
    except ValidationError as error:
        raise source.refuse(error, Campaign) from error
