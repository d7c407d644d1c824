"""The rules of a gate: one YAML file, read and checked before any data."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from analysis.latency import QUANTILES
from contract.campaign import Frozen, Name, Scalar
from contract.yaml_source import YamlSource, load_yaml

Confidence = Literal["bound", "estimate"]
"""What must meet a limit: the far end of the 95 % interval, or the value itself."""

Amount = str | int | float


def _known_quantile(name: str) -> str:
    if name not in QUANTILES:
        raise ValueError(" or ".join(QUANTILES))
    return name


class AgainstBaseline(Frozen):
    """How much worse than the baseline a metric may be."""

    at_most_slower: Amount | None = Field(None, description="of times: a share, such as 5%")
    at_most_worse: Amount | None = Field(None, description="of any metric: a share; of shares: points")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.at_most_slower is None) == (self.at_most_worse is None):
            raise ValueError("one of at_most_slower and at_most_worse")
        return self


class Rule(Frozen):
    """One demand on one metric, in every cell that it chooses."""

    name: str = Field("", max_length=200, description="for people; default: made of the rest")
    experiment: str
    where: dict[str, Scalar | list[Scalar]] = Field({}, description="which cells; default: all")
    metric: str
    quantile: Annotated[str, AfterValidator(_known_quantile)] | None = Field(
        None, description="of a distribution; default p50"
    )
    at_most: Amount | None = None
    at_least: Amount | None = None
    against_baseline: AgainstBaseline | None = None
    confidence: Confidence = "bound"

    @model_validator(mode="after")
    def _one_demand(self) -> Self:
        demands = (self.at_most, self.at_least, self.against_baseline)
        if sum(demand is not None for demand in demands) != 1:
            raise ValueError("one of at_most, at_least and against_baseline")
        return self

    @property
    def metric_title(self) -> str:
        """``e2e p99``."""
        return f"{self.metric} {self.quantile}" if self.quantile else self.metric

    @property
    def title(self) -> str:
        """Its name, or what it demands."""
        if self.name:
            return self.name
        given = ", ".join(f"{key} {value}" for key, value in self.where.items())
        return f"{self.experiment} {self.metric_title}" + (f" ({given})" if given else "")


class Gate(Frozen):
    """All rules of a gate."""

    gate: Name = Field("gate", description="name, as in the report of the tests")
    rules: tuple[Rule, ...] = Field(min_length=1)


def load_gate(path: Path) -> tuple[Gate, YamlSource]:
    """Read and check the shape of a file of rules.

    Raises CampaignError with file, line, key, what was found and what is allowed. Names of experiments
    and metrics, and units of limits, are checked when the rules meet a dataset.
    """
    source = load_yaml(path)
    if not isinstance(source.data, dict):
        raise source.error((), source.data, "a mapping with 'rules'")
    try:
        return Gate.model_validate(source.data), source
    except ValidationError as error:
        raise source.refuse(error, Gate) from error
