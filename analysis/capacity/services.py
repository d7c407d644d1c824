"""Waiting and availability of the shapes that say something of their requests or failures."""

from collections.abc import Sequence

import numpy as np

from analysis.capacity import availability
from analysis.capacity.demand import Demand, Shape
from analysis.capacity.evidence import Evidence
from analysis.capacity.queueing import fewest_instances, waiting
from analysis.capacity.service_lines import Available, Queued, Restored, Services
from analysis.cells import Cells, variant_name
from analysis.dataset import Dataset
from analysis.recovery.injections import AllInjections, deadline_ns
from analysis.statistics.proportions import Estimate
from analysis.statistics.survival import restricted_mean

SEED = 20_261_131


def services_of(dataset: Dataset, demand: Demand, every: Sequence[tuple[Shape, Evidence]]) -> Services:
    """Lines for every shape that has `service` or `uptime`; availability once for each variant."""
    queued = [_queued(shape) for shape in demand.shapes if shape.service is not None]
    wanted = [(shape, one) for shape, one in every if shape.uptime is not None]
    recoveries = Recoveries(dataset) if any(_measured(shape) for shape, _ in wanted) else None
    found: dict[tuple[str, str], Available] = {}
    for shape, one in wanted:
        if (shape.name, one.variant) not in found:
            found[shape.name, one.variant] = _available(demand, shape, one, recoveries)
    return Services(tuple(queued), tuple(found.values()))


def _measured(shape: Shape) -> bool:
    return shape.uptime is not None and shape.uptime.mttr is None


def _count(shape: Shape) -> int:
    growth = shape.growth.factor if shape.growth is not None else 1.0
    return int(np.ceil(shape.count.p50 * growth * (1 - 1e-12)))


def _queued(shape: Shape) -> Queued:
    service = shape.service
    assert service is not None  # the caller has looked
    growth = shape.growth.factor if shape.growth is not None else 1.0
    rate = service.arrivals_per_s.p50 * growth
    queue = service.queue(rate)
    return Queued(
        shape.name,
        rate,
        service.wait,
        service.quantile,
        fewest_instances(queue, service.wait, service.quantile),
        waiting(queue, _count(shape), service.wait),
    )


def _available(
    demand: Demand, shape: Shape, one: Evidence, recoveries: "Recoveries | None"
) -> Available:
    uptime, total = shape.uptime, _count(shape)
    assert uptime is not None  # the caller has looked
    needed = uptime.needed if uptime.needed is not None else total
    restored = (
        Restored(Estimate(uptime.mttr, None, None), None, 0.0)
        if uptime.mttr is not None
        else recoveries.of((one.name, one.emulated, one.virtual))
        if recoveries is not None
        else None
    )
    if restored is None or restored.mean_s.value is None:
        return Available(shape.name, one.variant, total, needed, None)
    mean = restored.mean_s
    each = availability.availability(uptime.mtbf, restored.mean_s.value)
    common = None
    if demand.domains is not None and uptime.domain_down:
        common = availability.DomainLoss(demand.domains.number, uptime.domain_down)
    share = availability.service_availability(needed, total, each, common)
    more = None
    if uptime.target is not None:
        more = availability.hosts_for(needed, each, uptime.target)
    return Available(
        shape.name,
        one.variant,
        total,
        needed,
        restored,
        each,
        None if mean.high is None else availability.availability(uptime.mtbf, mean.high),
        None if mean.low is None else availability.availability(uptime.mtbf, mean.low),
        share,
        availability.error_budget_minutes(share),
        uptime.target,
        more,
    )


class Recoveries:
    """Times to restore of a dataset's recovery experiment, by variant."""

    def __init__(self, dataset: Dataset) -> None:
        there = "recovery" in dataset.experiments()
        self._all = AllInjections(Cells(dataset, "recovery")) if there else None

    def of(self, variant: tuple[str, bool, bool]) -> Restored | None:
        """Of the slowest cell of a variant: its restricted mean up to the deadline."""
        found = (
            []
            if self._all is None
            else [
                one
                for cell in self._all.cells.cells
                if (variant_name(cell.driver, cell.profile), cell.emulated, cell.virtual) == variant
                and (one := self._restored(cell.index)) is not None
            ]
        )
        return max(found, key=lambda one: one.mean_s.value or 0.0, default=None)

    def _restored(self, index: int) -> Restored | None:
        assert self._all is not None  # the caller has looked
        cell = next(one for one in self._all.cells.cells if one.index == index)
        some = self._all.of(cell)
        if not some.n:
            return None
        deadline = deadline_ns(cell)
        horizon = deadline if np.isfinite(deadline) else some.longest_ns
        mean = restricted_mean(some.lifetimes(), horizon, np.random.default_rng([SEED, index]))
        seconds = [None if part is None else part / 1e9 for part in (mean.value, mean.low, mean.high)]
        return Restored(Estimate(*seconds), horizon / 1e9, some.unrecovered_share)
