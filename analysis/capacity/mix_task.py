"""From what was measured to what is packed: amounts at a quantile, and the same in every draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from analysis.capacity import model
from analysis.capacity.demand import Demand
from analysis.capacity.model import Inputs, Use
from analysis.capacity.packing_task import Cap, HostKind, Need, PackingTask, Shape
from analysis.capacity.situation import Pick, Situation, amounts_in_draws, inputs_of
from analysis.statistics.blocks import Floats

MOST_PER_HOST = "'most_per_host'"
MOST_DOMAINS = 16
"""Failure domains that are told apart; more are taken together, and a loss then takes more of them."""


@dataclass(frozen=True)
class Placed:
    """One shape as one variant on one class of hosts, in every draw."""

    now: Situation
    pick: Pick

    @cached_property
    def drawn(self) -> Inputs:
        """The model's inputs, a value per draw."""
        return inputs_of(self.now, amounts_in_draws(self.now, self.pick))

    @cached_property
    def shared_caps(self) -> dict[str, Floats]:
        """Caps that all instances of a host use up together, whatever their shape: a value per draw."""
        return {name: np.floor(cap) for name, cap in self.drawn.caps.items() if name != MOST_PER_HOST}


@dataclass(frozen=True)
class Mixture:
    """All shapes on all classes on which they were measured, each as one variant."""

    demand: Demand
    placed: Mapping[tuple[str, str], Placed]
    """By shape and class."""
    short: tuple[str, ...] = field(default=())

    @property
    def names(self) -> list[str]:
        """Classes of hosts, in the order of the demand."""
        return list(dict.fromkeys(kind for _, kind in self.placed))

    def of_kind(self, kind: str) -> list[Placed]:
        """Everything that was measured on one class."""
        return [one for (_, where), one in self.placed.items() if where == kind]

    def of_shape(self, shape: str) -> Placed:
        """One of the entries of a shape; its demand is the same in all."""
        return next(one for (name, _), one in self.placed.items() if name == shape)

    @property
    def domains(self) -> tuple[int, int, tuple[int, ...], bool]:
        """Domains that are told apart, how many of them are lost, their sizes, whether all are equal."""
        asked = self.demand.domains
        if asked is None:
            return 1, 0, (), False
        number = asked.number if asked.sizes else min(asked.number, max(MOST_DOMAINS, asked.lose + 1))
        return number, asked.lose, asked.sizes, asked.whole


def task_at(mixture: Mixture, level: float) -> PackingTask:
    """What is to be packed if every demand and need were at a quantile, each for itself.

    What an instance needs comes with the base of the same replicate: the one whose density stands at
    that place among all, resource by resource.
    """
    demand = mixture.demand
    shapes = tuple(
        Shape(one.name, int(_quantile(mixture.of_shape(one.name).drawn.demand, level)))
        for one in demand.shapes
    )
    at = {key: _at(one, level) for key, one in mixture.placed.items()}
    kinds = tuple(_kind(mixture, name, at) for name in mixture.names)
    number, lost, sizes, whole = mixture.domains
    return PackingTask(
        shapes=shapes,
        kinds=kinds,
        needs={key: _needs(mixture.placed[key], uses, level) for key, uses in at.items()},
        caps={key: cap for key, one in mixture.placed.items() if (cap := _cap(one, level)) is not None},
        risk_z=model.z_of(demand.overload_risk),
        domains=number,
        lost=lost,
        sizes=sizes,
        whole=whole,
    )


def _quantile(values: Floats, level: float) -> float:
    return model.quantile(values, level)


def _at(one: Placed, level: float) -> dict[str, dict[str, float]]:
    """Base, need and spread of every resource, of the replicate at its place."""
    found = {}
    for name, use in one.drawn.uses.items():
        order = np.argsort(-model.density_of(use, one.now.rules.z), kind="stable")
        place = int(order[min(order.size - 1, round(level * (order.size - 1)))])
        found[name] = {
            part: float(getattr(use, part)[place])
            for part in ("base", "each", "own", "shared", "noise", "capacity")
        }
    return found


def _kind(
    mixture: Mixture, name: str, at: Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]]
) -> HostKind:
    """Room of a host: by the shape that leaves least, for the empty host is the same for all."""
    mine = [uses for (_, kind), uses in at.items() if kind == name]
    entry = mixture.of_kind(name)[0].now.host
    resources = dict.fromkeys(resource for uses in mine for resource in uses)
    room, noise = {}, {}
    for resource in resources:
        some = [uses[resource] for uses in mine if resource in uses]
        room[resource] = min(one["capacity"] - one["base"] for one in some)
        noise[resource] = max(one["noise"] for one in some)
    caps = dict.fromkeys(cap for one in mixture.of_kind(name) for cap in one.shared_caps)
    price = entry.price or None
    return HostKind(name, room | dict.fromkeys(caps, 1.0), price, entry.most, noise)


def _needs(one: Placed, uses: Mapping[str, Mapping[str, float]], level: float) -> dict[str, Need]:
    found = {}
    for resource, use in uses.items():
        variance = use["own"] ** 2 + use["shared"] ** 2
        correlation = use["shared"] ** 2 / variance if variance > 0 else 0.0
        found[resource] = Need(max(0.0, use["each"]), float(np.sqrt(variance)), correlation)
    for name, draws in one.shared_caps.items():
        most = -_quantile(-draws, level)
        if np.isfinite(most):
            found[name] = Need(1 / most if most >= 1 else 2.0)
    return found


def _cap(one: Placed, level: float) -> Cap | None:
    """The number that somebody set for the shape alone; or 0 with what no number of instances met."""
    for name, draws in one.shared_caps.items():
        if -_quantile(-draws, level) < 1:
            return Cap(0, name)
    most = one.now.shape.most_per_host
    return Cap(most, MOST_PER_HOST) if most is not None else None


def overfull(mixture: Mixture, kind: str, patterns: Sequence[Mapping[str, Floats]]) -> Floats:
    """Share of the draws, as 0 or 1 for each, in which a host of a class is too small for a pattern.

    A pattern gives instances by shape and draw. Any pattern will do.
    """
    placed = {one.now.shape.name: one for one in mixture.of_kind(kind)}
    found: list[Floats] = [_over(placed, pattern, mixture.demand) for pattern in patterns]
    return np.asarray(np.maximum.reduce(found))


def _over(placed: Mapping[str, Placed], pattern: Mapping[str, Floats], demand: Demand) -> Floats:
    mine = {shape: one for shape, one in placed.items() if shape in pattern}
    z = model.z_of(demand.overload_risk)
    resources = dict.fromkeys(name for one in placed.values() for name in one.drawn.uses)
    over = [
        _too_much(
            [(pattern[s], one.drawn.uses.get(name)) for s, one in mine.items()], _room(placed, name), z
        )
        for name in resources
    ]
    for name in dict.fromkeys(cap for one in mine.values() for cap in one.shared_caps):
        share = sum(
            pattern[s] / np.maximum(one.shared_caps[name], 1e-9)
            for s, one in mine.items()
            if name in one.shared_caps
        )
        over.append(np.asarray(share) > 1 + 1e-9)
    for shape, one in mine.items():
        if one.now.shape.most_per_host is not None:
            over.append(pattern[shape] > one.now.shape.most_per_host)
    return np.asarray(np.logical_or.reduce(over), dtype=np.float64)


def _room(placed: Mapping[str, Placed], resource: str) -> tuple[Floats, Floats]:
    uses: list[Use] = [one.drawn.uses[resource] for one in placed.values() if resource in one.drawn.uses]
    room = np.minimum.reduce([use.capacity - use.base for use in uses])
    return np.asarray(room), np.asarray(np.maximum.reduce([use.noise for use in uses]))


def _too_much(
    held: Iterable[tuple[Floats, Use | None]], has: tuple[Floats, Floats], z: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    room, noise = has
    mean, own, shared = np.zeros_like(room), np.zeros_like(room), np.zeros_like(room)
    for n, use in held:
        if use is not None:
            mean = mean + n * np.maximum(0.0, use.each)
            own = own + n * use.own**2
            shared = shared + n * use.shared
    load = mean + z * np.sqrt(own + shared**2 + noise**2)
    return np.asarray(load > room + 1e-6 * np.abs(room))
