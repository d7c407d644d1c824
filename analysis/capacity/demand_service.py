"""What a shape of a demand may say of its requests and its failures."""

from typing import Self

from pydantic import Field, model_validator

from analysis.capacity.forecast import Count, Forecast
from analysis.capacity.queueing import Service as Queue
from analysis.capacity.queueing import fewest_instances
from analysis.capacity.units import Seconds, Share
from contract.campaign import Frozen


class Service(Frozen):
    """Requests that the instances of a shape serve, one at a time each."""

    arrivals_per_s: Count = Field(description="requests per second in the busy hour, or {p50, p95}")
    service_time: Seconds = Field(description="mean time that an instance works on one request")
    wait: Seconds = Field(description="longest time that requests may wait until they are served")
    quantile: Share = Field(0.99, gt=0, lt=1, description="share of the requests that wait no longer")
    arrival_cv: float = Field(1, ge=0, le=100, description="variation between arrivals; 1: at random")
    service_cv: float = Field(1, ge=0, le=100, description="variation of service; 1: exponential")

    def queue(self, arrivals_per_s: float) -> Queue:
        """The model of it at a rate of arrivals."""
        return Queue(arrivals_per_s, self.service_time, self.arrival_cv, self.service_cv)

    def instances(self) -> Forecast:
        """The fewest instances that keep the objective, by the forecast of the arrivals.

        Raises UseError where that is more than can be planned.
        """
        few, many = (
            fewest_instances(self.queue(rate), self.wait, self.quantile).instances
            for rate in (self.arrivals_per_s.p50, self.arrivals_per_s.p95)
        )
        return Forecast(p50=few, p95=many)


class Uptime(Frozen):
    """How often an instance fails, and how many must be there."""

    mtbf: Seconds = Field(description="mean time of an instance from being there to its next failure")
    mttr: Seconds | None = Field(None, description="mean time until it is back; none: as measured")
    needed: int | None = Field(None, ge=1, description="instances that must be there; none: all")
    target: Share | None = Field(None, gt=0, lt=1, description="share of the time they must be there")
    domain_down: Share = Field(0, lt=1, description="share of the time for which a domain is gone")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.target is not None and self.needed is None:
            raise ValueError("'needed' beside 'target': how many instances must be there")
        return self
