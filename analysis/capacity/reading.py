"""Reading the evidence from a dataset: per variant and class of hosts, believed trials only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from analysis.capacity import caps, checks, lines, starts
from analysis.capacity.demand import Demand, Shape
from analysis.capacity.detection import Detections, given
from analysis.capacity.evidence import RESOURCES, Cap, Evidence
from analysis.capacity.missing import what_is_missing
from analysis.capacity.resample import Resample, resample
from analysis.capacity.starts import LifecycleStarts, Waits, name_of
from analysis.cells import Cell, Cells, variant_name
from analysis.dataset import Dataset
from analysis.density.staircases import Staircase, Staircases
from analysis.distributions import HARNESS_CAUSES, Reduction
from analysis.host_classes import HostClass, host_classes
from analysis.moved import moved_rows
from analysis.scopes import FLEET
from analysis.statistics.blocks import Floats
from analysis.words import MOST_SENTENCES
from contract.errors import DatasetError, UseError

SEED = 20_261_126
VIRTUAL_MACHINES = ("libvirt", "libvirt_vbox", "libvirt_vmware", "libvirt_esx")
"""Drivers whose instances are virtual machines: containers are what they are compared with."""
_WAITS = """
    WITH known AS (
        SELECT trial_id, (row_number() OVER (ORDER BY trial_id))::INTEGER AS number FROM trials
    )
    SELECT k.number, coalesce((t_ready - t_intent)::DOUBLE / 1e9, 'infinity'::DOUBLE) AS wait_s
    FROM instances JOIN known k USING (trial_id)
    WHERE experiment = 'density' AND t_intent IS NOT NULL AND NOT warm_up
        AND outcome IN ('ok', 'failed', 'timeout', 'censored')
        AND NOT list_contains($causes, coalesce(error_class, ''))
    ORDER BY k.number, t_intent, instance
"""
_KNOWN = "SELECT trial_id FROM trials ORDER BY trial_id"


class Readings:
    """A dataset as the capacity plan reads it. Raises DatasetError when it has no density at all."""

    def __init__(self, dataset: Dataset, demand: Demand) -> None:
        self.demand = demand
        self.classes = host_classes(dataset)
        self._dataset = dataset
        self._there = dataset.experiments()
        if "density" not in self._there:
            raise DatasetError(
                f"{dataset.path}: no trials of density, so nothing says what an instance takes; "
                "run a campaign with 'experiment: density' on a host of every class that may be chosen"
            )
        self.cells = Cells(dataset, "density")
        self._staircases = Staircases(self.cells)

    @property
    def variants(self) -> list[str]:
        """Names of variants with trials of density, as demand files call them; virtual machines last."""
        names = {variant_name(c.driver, c.profile) for c in self.cells.cells}
        return sorted(names, key=lambda name: (name.partition("/")[0] in VIRTUAL_MACHINES, name))

    def of(self, shape: Shape, host_class: HostClass) -> list[Evidence]:
        """Evidence for every variant that may carry a shape on a class; none where nothing was measured.

        Raises UseError where several cells could stand for the shape.
        """
        alike: dict[tuple[str, str, bool, bool], list[tuple[Cell, list[Staircase]]]] = defaultdict(list)
        for cell in self.cells.cells:
            name = variant_name(cell.driver, cell.profile)
            if (not shape.variants or name in shape.variants) and _stands_for(cell, shape):
                some = [
                    s
                    for s in self._staircases.of(cell)
                    if self.cells.hosts[s.host] in host_class.hosts and any(t.n for t in s.ups)
                ]
                if some:
                    alike[name_of(cell)].append((cell, some))
        for found in alike.values():
            if len(found) > 1:
                self._refuse(shape, [cell for cell, _ in found])
        read = [self._evidence(cell, some, host_class) for ((cell, some),) in alike.values()]
        wanted = shape.variants or self.variants
        return sorted(read, key=lambda one: (wanted.index(one.name), one.variant))

    def _refuse(self, shape: Shape, cells: Sequence[Cell]) -> None:
        said = "; ".join(self.cells.condition(cell) for cell in cells[:MOST_SENTENCES])
        raise UseError(
            f"shape '{shape.name}': {cells[0].variant} was measured under several conditions ({said}); "
            "say in 'measured' of the shape which of them stand for it, such as "
            f"measured: {{{self.cells.varying[0]}: …}}"
        )

    def _evidence(self, cell: Cell, some: list[Staircase], host_class: HostClass) -> Evidence:
        rng = np.random.default_rng([SEED, cell.index, self.classes.index(host_class)])
        draws, hosts = resample(len(some), rng), frozenset(host_class.hosts)
        fits = [lines.line_of(some, resource, draws) for resource in RESOURCES]
        waits = self._waits_of(some)
        name = name_of(cell)
        level = cell.conditions.get("concurrency")
        concurrency = int(level) if isinstance(level, int | float) else 1
        measured = self._lifecycle and self._lifecycle.of(name, hosts, cell.image)
        wanted = self.demand.detect
        peaks = sorted(s.peak for s in some if s.peak is not None)
        belief = self.cells.evidence.get((cell.index, FLEET))
        found = Evidence(
            variant=cell.variant,
            name=variant_name(cell.driver, cell.profile),
            host_class=host_class.name,
            conditions=self.cells.condition(cell),
            emulated=cell.emulated,
            virtual=cell.virtual,
            belief=belief or "failed",
            hosts=len({s.host for s in some}),
            staircases=len(some),
            peak=peaks[(len(peaks) - 1) // 2],
            mem_bytes=host_class.mem_bytes,
            cpu_count=host_class.cpu_count,
            lines=tuple(line for line in fits if line is not None),
            caps=tuple(self._caps(some, waits, draws, cell)),
            starts=measured or starts.climbing_starts(waits, concurrency, draws),
            detection=given(wanted) if wanted is not None else self._detections.of(name, hosts),
            unrecovered_share=self._detections.unrecovered(name),
            image_bytes=starts.cold_bytes(self._moved, name),
            checks=checks.top_of_climbs(some),
        )
        return replace(found, missing=what_is_missing(found, self.demand))

    def _caps(self, some: Sequence[Staircase], waits: Waits, draws: Resample, cell: Cell) -> list[Cap]:
        reserve = cell.conditions.get("pids_reserve_share")
        kept = (1 - self.demand.headroom.pids) / (1 - float(reserve or 0))
        objectives = (
            caps.probe_cap(some, self.demand.slo, draws),
            caps.start_cap(waits, self.demand.slo, draws),
        )
        found = [cap for cap in objectives if cap is not None]
        return found + caps.wall_caps(some, kept, draws)

    def _waits_of(self, some: Sequence[Staircase]) -> dict[int, Floats]:
        return {p: self._waits[s.trial_id] for p, s in enumerate(some) if s.trial_id in self._waits}

    @cached_property
    def _waits(self) -> dict[str, Floats]:
        """How long each start took, by trial and in the order of the starts."""
        found = self._dataset.query(_WAITS, {"causes": list(HARNESS_CAUSES)})
        number, wait = (found[name].to_numpy() for name in ("number", "wait_s"))
        names = self._dataset.query(_KNOWN)["trial_id"]
        numbers, first = np.unique(number, return_index=True)
        parts = np.split(wait.astype(np.float64), first[1:])
        return {names[n - 1].as_py(): part for n, part in zip(numbers.tolist(), parts, strict=False)}

    @cached_property
    def _lifecycle(self) -> LifecycleStarts | None:
        there = "lifecycle" in self._there
        return LifecycleStarts(Reduction(Cells(self._dataset, "lifecycle"))) if there else None

    @cached_property
    def _detections(self) -> Detections:
        return Detections(self._dataset)

    @cached_property
    def _moved(self) -> list[dict[str, object]]:
        there = "deployment" in self._there
        return moved_rows(Cells(self._dataset, "deployment")) if there else []


def _stands_for(cell: Cell, shape: Shape) -> bool:
    return all(cell.conditions.get(name) == value for name, value in shape.measured.items())
