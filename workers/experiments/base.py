"""The interface of all experiments. An experiment drives instances and takes stamps."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from contract.catalog import Capability, Metric, Params
from contract.rows import InstanceRow
from workers.bench import Bench


class Experiment(ABC):
    """One protocol of measurement. Instances of it hold no state between trials."""

    name: ClassVar[str]
    summary: ClassVar[str]
    Params: ClassVar[type[Params]]
    metrics: ClassVar[tuple[Metric, ...]]
    example: ClassVar[str]
    """A campaign in YAML that runs in seconds on the simulated driver."""
    together: ClassVar[bool] = False
    """All hosts of a campaign measure it at the same time, meeting through ``bench.meeting``.

    Its Params are FleetParams.
    """

    @classmethod
    @abstractmethod
    def needs(cls, params: Any) -> frozenset[Capability]:
        """What a driver must offer for these parameters."""

    @classmethod
    @abstractmethod
    def plan_rows(cls, params: Any) -> list[InstanceRow]:
        """One row per planned instance, in order, as skipped: what the trial promises to account for."""

    @abstractmethod
    async def run(self, bench: Bench) -> None:
        """Measure. Rows were announced already; each is finished exactly once.

        Raises nothing for an instance that fails (that is a row); raises EngineError when the engine
        as a whole is of no use. Deadline and cancellation arrive as asyncio's cancellation.
        """
