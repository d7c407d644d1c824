"""Numbers of a demand that are not known for sure."""

import math
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from contract.campaign import Frozen

Z_95 = 1.6448536269514722
"""The standard normal distribution's 95 % point: how p50 and p95 of a forecast make a spread."""


class Forecast(Frozen):
    """A number that is not known for sure: log-normal, by its median and its 95 % point."""

    p50: float = Field(gt=0, le=1e9, description="as likely too low as too high")
    p95: float = Field(gt=0, le=1e9, description="passed in one case of twenty")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p95 < self.p50:
            raise ValueError("p95 not below p50")
        return self

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p95 / self.p50) / Z_95


def _forecast(given: Any) -> Any:
    """A bare number is a forecast without spread."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"p50": given, "p95": given}
    if isinstance(given, dict | Forecast):
        return given
    raise ValueError("a number of instances, or {p50: …, p95: …}")


Count = Annotated[Forecast, BeforeValidator(_forecast, json_schema_input_type=float | Forecast)]
