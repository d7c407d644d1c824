"""The whole answer: every shape, variant and host class of a demand, planned from one dataset."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from analysis.capacity import mix_words
from analysis.capacity.answer import Answer, Basis, Difference, Plan
from analysis.capacity.assumptions import assumptions_of
from analysis.capacity.checks import other_classes
from analysis.capacity.demand import Demand, HostClassEntry, Shape
from analysis.capacity.evidence import Evidence
from analysis.capacity.mix_task import Placed
from analysis.capacity.mixing import mixes_of
from analysis.capacity.planning import plan
from analysis.capacity.reading import Readings
from analysis.capacity.services import services_of
from analysis.capacity.situation import MONTE_CARLO, Pick, Situation, pick_draws
from analysis.dataset import Dataset
from analysis.statistics.blocks import Floats
from contract.yaml_source import YamlSource

SEED = 20_261_125
"""Fixes all draws, so that one dataset and one demand give one answer."""


def answer(dataset: Dataset, demand: Demand, source: YamlSource) -> Answer:
    """Plan a demand from what a dataset says.

    Raises CampaignError, with the line of ``source``, where the demand names a variant or a host class
    that was not measured; DatasetError when the dataset has no density; UseError when it is not clear
    which cells stand for a shape.
    """
    readings = Readings(dataset, demand)
    hosts = _hosts(demand, readings, source)
    _check_variants(demand, readings, source)
    plans: list[Plan] = []
    every: list[Evidence] = []
    placed: list[Placed] = []
    missing: list[str] = []
    for place, shape in enumerate(demand.shapes):
        found = {one.name: readings.of(shape, one) for one in readings.classes}
        found = _with_checks(found)
        missing += _not_measured(shape, hosts, found)
        normals = np.random.default_rng([SEED, place]).normal(size=MONTE_CARLO)
        for entry in hosts:
            for evidence in found[entry.like or entry.name]:
                every.append(evidence)
                pick = _pick(evidence, normals)
                placed.append(Placed(Situation(evidence, shape, entry, demand), pick))
                plans += _plans(demand, shape, entry, evidence, pick)
    missing += [text for evidence in every for text in evidence.missing]
    mixes = mixes_of(demand, placed, plans)
    return Answer(
        demand=demand.demand,
        campaign=dataset.manifest.campaign,
        confidence=demand.confidence,
        plans=tuple(plans),
        differences=tuple(_differences(plans)),
        assumptions=assumptions_of(demand, hosts, every) + (mix_words.METHOD if mixes else ()),
        missing=tuple(dict.fromkeys(missing)),
        mixes=mixes,
        services=services_of(dataset, demand, [(one.now.shape, one.now.evidence) for one in placed]),
    )


def _plans(
    demand: Demand, shape: Shape, entry: HostClassEntry, evidence: Evidence, pick: Pick
) -> list[Plan]:
    bases: tuple[Basis, ...] = ("measured", "guaranteed") if shape.reserve else ("measured",)
    return [plan(Situation(evidence, shape, entry, demand, basis), pick) for basis in bases]


def _pick(evidence: Evidence, normals: Floats) -> Pick:
    seed = [SEED, *f"{evidence.variant} on {evidence.host_class}".encode()]
    return pick_draws(np.random.default_rng(seed), normals)


def _hosts(demand: Demand, readings: Readings, source: YamlSource) -> tuple[HostClassEntry, ...]:
    """The host classes that are asked about: those of the demand, or all that were measured."""
    names = [one.name for one in readings.classes]
    for place, entry in enumerate(demand.host_classes):
        key, found = ("like", entry.like) if entry.like is not None else ("name", entry.name)
        if found not in names:
            allowed = f"a class of hosts that was measured: {', '.join(map(repr, names))}"
            beside = "" if key == "like" else "; or a new name with 'like' beside it"
            raise source.error(("host_classes", place, key), found, allowed + beside)
    return demand.host_classes or tuple(HostClassEntry(name=name) for name in names)


def _check_variants(demand: Demand, readings: Readings, source: YamlSource) -> None:
    for place, shape in enumerate(demand.shapes):
        for which, name in enumerate(shape.variants):
            if name not in readings.variants:
                allowed = f"what was measured in density: {', '.join(readings.variants)}"
                raise source.error(("shapes", place, "variants", which), name, allowed)


def _with_checks(found: dict[str, list[Evidence]]) -> dict[str, list[Evidence]]:
    """Evidence with the checks that several classes of hosts allow."""
    alike: dict[str, list[Evidence]] = defaultdict(list)
    for some in found.values():
        for one in some:
            alike[one.variant].append(one)
    checks = {variant: other_classes(some) for variant, some in alike.items()}
    return {
        name: [replace(e, checks=e.checks + checks[e.variant][e.host_class]) for e in some]
        for name, some in found.items()
    }


def _not_measured(
    shape: Shape, hosts: Sequence[HostClassEntry], found: dict[str, list[Evidence]]
) -> list[str]:
    """Which of the wanted variants nobody measured on which class."""
    said = []
    for entry in hosts:
        measured = entry.like or entry.name
        there = {one.name for one in found[measured]}
        lacking = [name for name in shape.variants if name not in there]
        if lacking or not there:
            what = " and ".join(lacking) or "any variant"
            said.append(
                f"Shape {shape.name}: there are no believed trials of density for {what} on "
                f"{measured}, so there is no plan for it."
            )
    return said


def _differences(plans: Sequence[Plan]) -> list[Difference]:
    """Hosts that one variant needs more than another, for every pair on the same hosts."""
    alike: dict[tuple[str, str, Basis], list[Plan]] = defaultdict(list)
    for one in plans:
        alike[one.shape, one.host_class, one.basis].append(one)
    return [
        _difference(baseline, other)
        for some in alike.values()
        for baseline, other in combinations(some, 2)
    ]


def _difference(baseline: Plan, other: Plan) -> Difference:
    found = Difference(
        shape=other.shape,
        host_class=other.host_class,
        basis=other.basis,
        variant=other.variant,
        baseline=baseline.variant,
        withheld=_withheld(baseline, other),
        draws=np.zeros(0),
    )
    if found.withheld:
        return found
    draws = other.draws - baseline.draws
    low, middle, high = (
        float(end) for end in np.quantile(draws, (0.05, 0.5, 0.95), method="inverted_cdf")
    )
    more, fewer = float((draws > 0).mean()), float((draws < 0).mean())
    return replace(found, draws=draws, p5=low, p50=middle, p95=high, more=more, fewer=fewer)


def _withheld(baseline: Plan, other: Plan) -> str | None:
    if baseline.virtual != other.virtual:
        return "one side is simulated"
    if baseline.emulated != other.emulated:
        return "emulated CPU"
    infinite = [p.variant for p in (baseline, other) if np.isinf(p.draws).any()]
    return f"no number of hosts would do for {' and '.join(infinite)}" if infinite else None
