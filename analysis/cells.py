"""Cells of one experiment: which trials belong together, which are believed, how they are named."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis import quantities
from analysis.dataset import Dataset
from analysis.host_classes import class_of_host, host_classes
from analysis.scopes import FLEET, Scope, scopes_of
from contract.trial import canonical_json

EFFORT = ("instances", "warm_ups", "injections", "deployments", "operations", "repeats")
"""Parameters that say how often was measured, not under which conditions: they keep no cells apart."""

DETAILS = ("command", "pattern", "json_path", "unit", "better")
"""Parameters in many words. They stand beside numbers only where nothing shorter tells cells apart."""

BASELINE_DRIVER = "process"
"""The bare process: what containers and virtual machines are compared with first."""

Evidence = Literal["valid", "suspect", "valid and suspect", "failed"]
"""What kind of trials a row of numbers rests on; ``failed``: no instance of any trial became ready."""

DOUBTS: dict[Evidence | None, str] = {
    "suspect": "has suspect trials only",
    "valid and suspect": "has suspect trials among its trials",
    "failed": "has failed trials only",
    None: "has no valid trials",
}
"""Why no verdict is given on such evidence; on valid trials alone there may be one."""

Role = Literal["timed", "failed", "set aside"]


@dataclass(frozen=True)
class Cell:
    """One combination of driver, profile and conditions. Emulated and simulated ones stand apart."""

    index: int
    driver: str
    profile: str
    params: str
    image: str
    limits: str
    emulated: bool
    virtual: bool

    @property
    def variant(self) -> str:
        """What was measured: ``docker/crun``, with a warning beside what is not a real machine."""
        name = variant_name(self.driver, self.profile)
        if self.virtual:
            return name if self.driver == "simulated" else f"{name} (simulated)"
        return f"{name} (emulated CPU)" if self.emulated else name

    @property
    def under(self) -> tuple[str, str, str]:
        """Everything that must be equal in two cells before they may be compared."""
        return self.params, self.image, self.limits

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """Parameters, image and limits as one flat mapping."""
        limits = {f"limit_{key}": value for key, value in json.loads(self.limits).items()}
        params: dict[str, Any] = json.loads(self.params)
        return params | {"image": self.image} | limits


@dataclass(frozen=True, slots=True)
class Membership:
    """Where one trial belongs."""

    trial_id: str
    cell: int
    host: int
    block: int
    role: Role


class Cells:
    """All cells of one experiment in a dataset, in the order in which tables list them."""

    def __init__(self, dataset: Dataset, experiment: str) -> None:
        self.dataset = dataset
        self.experiment = experiment
        trials = [t for t in dataset.trials() if t["experiment"] == experiment]
        self.trials = _with_kind(trials)
        self.hosts: list[str] = sorted({t["host"] for t in trials})
        keys = sorted({_key(t) for t in self.trials}, key=_place)
        self._cell_of = {key: Cell(i, *key) for i, key in enumerate(keys)}
        self.cells = list(self._cell_of.values())
        self.scopes = scopes_of(self.hosts, class_of_host(host_classes(dataset)))
        self.evidence: dict[tuple[int, Scope], Evidence] = {}
        self.memberships = self._sort_trials()

    @cached_property
    def varying(self) -> list[str]:
        """Names of conditions that differ between cells: only these need to be shown beside numbers."""
        return telling([cell.conditions for cell in self.cells])

    @cached_property
    def _differing(self) -> list[str]:
        return differing([cell.conditions for cell in self.cells])

    @cached_property
    def constant(self) -> dict[str, Any]:
        """Conditions that are the same in all cells."""
        first = self.cells[0].conditions if self.cells else {}
        return {name: value for name, value in sorted(first.items()) if name not in self._differing}

    def condition(self, cell: Cell) -> str:
        """What tells this cell's conditions from the others': ``concurrency 8, residents 10``."""
        found = {name: cell.conditions.get(name) for name in self.varying}
        return condition_words(found) or "same for all"

    def groups(self) -> list[list[Cell]]:
        """Cells under the same conditions, in table order."""
        found: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
        for cell in self.cells:
            found[cell.under].append(cell)
        return list(found.values())

    def variants(self) -> list[str]:
        """Names of what was measured, the baseline first."""
        ranked = sorted(
            self.cells, key=lambda c: (c.driver != BASELINE_DRIVER, c.driver, len(c.variant))
        )
        return list(dict.fromkeys(cell.variant for cell in ranked))

    def table(self, *roles: Role) -> pa.Table:
        """Trials of some roles as a table that queries can join: trial_id, cell, host, block, role.

        ``trial`` is the place of the trial among all memberships, which are sorted by host and cell.
        """
        places = [place for place, m in enumerate(self.memberships) if m.role in roles]
        chosen = [self.memberships[place] for place in places]
        return pa.table(
            {
                "trial": pa.array(places, pa.int32()),
                "trial_id": pa.array([m.trial_id for m in chosen], pa.string()),
                "cell": pa.array([m.cell for m in chosen], pa.int32()),
                "host": pa.array([m.host for m in chosen], pa.int32()),
                "block": pa.array([m.block for m in chosen], pa.int32()),
                "role": pa.array([m.role for m in chosen], pa.string()),
            }
        )

    def in_fleet(self, cell: int, host: int) -> bool:
        """Whether a host's numbers enter the fleet's."""
        return self.counts(cell, FLEET, host)

    def counts(self, cell: int, scope: Scope, host: int) -> bool:
        """Whether a host's numbers enter those of a scope: never suspect ones beside valid ones."""
        if not scope.has(host):
            return False
        whole, own = self.evidence.get((cell, scope)), self.evidence.get((cell, self.of_host(host)))
        return own is not None and (own in (whole, "failed") or whole == "valid and suspect")

    def counting(self, cell: int, scope: Scope) -> npt.NDArray[np.bool_]:
        """Which hosts' numbers enter those of a scope, by host code."""
        codes = range(len(self.hosts))
        return np.array([self.counts(cell, scope, code) for code in codes], dtype=bool)

    def of_host(self, host: int) -> Scope:
        """The scope of one host, by its code."""
        return self.scopes[len(self.scopes) - len(self.hosts) + host]

    def _sort_trials(self) -> list[Membership]:
        code = {host: code for code, host in enumerate(self.hosts)}
        of_cell: dict[int, list[dict[str, Any]]] = defaultdict(list)
        on_host: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for trial in self.trials:
            index = self._cell_of[_key(trial)].index
            of_cell[index].append(trial)
            on_host[index, code[trial["host"]]].append(trial)
        for index, trials in of_cell.items():
            for scope in self.scopes[: len(self.scopes) - len(self.hosts)]:
                self._note(index, scope, [t for t in trials if scope.has(code[t["host"]])])
        found = []
        for (index, host), trials in sorted(on_host.items(), key=lambda item: item[0][::-1]):
            evidence = self._note(index, self.of_host(host), trials)
            found += [
                Membership(t["trial_id"], index, host, t["block"], _role(t, evidence)) for t in trials
            ]
        return found

    def _note(self, cell: int, scope: Scope, trials: list[dict[str, Any]]) -> Evidence | None:
        """Find out, and keep, what kind of trials the numbers of a cell in a scope can rest on."""
        timed = {t["verdict"] for t in trials if t["outcome"] in ("completed", "partial")}
        evidence: Evidence | None = None
        if self.dataset.include_suspect and timed >= {"valid", "suspect"}:
            evidence = "valid and suspect"
        elif "valid" in timed or "suspect" in timed:
            evidence = "valid" if "valid" in timed else "suspect"
        elif any(t["outcome"] == "failed" for t in trials):
            evidence = "failed"
        if evidence is not None:
            self.evidence[cell, scope] = evidence
        return evidence


_UNITS = {
    "_mib_per_s": " MiB/s",
    "_per_s": "/s",
    "_s": " s",
    "_ms": " ms",
    "_mib": " MiB",
    "_percent": " %",
}


def variant_name(driver: str, profile: str) -> str:
    """``docker``, or ``docker/crun`` where the profile is not the driver's own default."""
    return driver if profile in ("default", driver) else f"{driver}/{profile}"


def telling(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names by which conditions are told apart, in few words where that is enough."""
    kept = names = differing(conditions)
    for detail in reversed(DETAILS):  # the first of them is the last to go
        fewer = [name for name in kept if name != detail]
        kept = fewer if _told_apart(conditions, fewer) == _told_apart(conditions, names) else kept
    return kept


def differing(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of conditions that are not the same everywhere."""
    names = sorted({name for one in conditions for name in one})
    return [name for name in names if _told_apart(conditions, [name]) > 1]


def _told_apart(conditions: Sequence[Mapping[str, Any]], names: Sequence[str]) -> int:
    """How many different conditions there are, by these names."""
    return len({tuple(_plain(one.get(name)) for name in names) for one in conditions})


def condition_words(conditions: dict[str, Any]) -> str:
    """Conditions as a person says them: ``concurrency 8, ready deadline 30 s, graceful no``."""
    return ", ".join(_condition(name, value) for name, value in conditions.items())


def _condition(name: str, value: Any) -> str:
    unit = next((ending for ending in _UNITS if name.endswith(ending)), "")
    said = name.removesuffix(unit).replace("_", " ")
    return f"{said} {_plain(value)}{_UNITS[unit] if unit and value is not None else ''}"


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return quantities.plain(value) if isinstance(value, int | float) else str(value)


def _role(trial: dict[str, Any], evidence: Evidence | None) -> Role:
    """A failed trial has nothing to time, but its failures count whatever its verdict says."""
    if trial["outcome"] == "failed":
        return "failed"
    believed = {"valid": ("valid",), "suspect": ("suspect",), "valid and suspect": ("valid", "suspect")}
    timed = trial["outcome"] in ("completed", "partial")
    return "timed" if timed and trial["verdict"] in believed.get(evidence or "", ()) else "set aside"


_Key = tuple[str, str, str, str, str, bool, bool]


def _key(trial: dict[str, Any]) -> _Key:
    params = json.loads(trial["params"])
    conditions = canonical_json({key: params[key] for key in params if key not in EFFORT})
    what = trial["driver"], trial["profile"], conditions, trial["image"], trial["limits"]
    return (*what, trial["emulated"], trial["virtual"])


def _with_kind(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trials, those that ended before their driver could say what it is with their fellows' kind."""
    known: dict[tuple[str, ...], dict[str, bool]] = {}
    for trial in trials:
        if trial["outcome"] in ("completed", "partial"):
            kind = {"emulated": trial["emulated"], "virtual": trial["virtual"]}
            known.setdefault((trial["driver"], trial["profile"]), kind)
            known[trial["driver"], trial["profile"], trial["host"]] = kind

    def kind_of(trial: dict[str, Any]) -> dict[str, bool]:
        key = trial["driver"], trial["profile"]
        ended_early = trial["outcome"] not in ("completed", "partial")
        return known.get((*key, trial["host"]), known.get(key, {})) if ended_early else {}

    return [trial | kind_of(trial) for trial in trials]


def _place(key: _Key) -> tuple[Any, ...]:
    """Conditions in the order of their values, the baseline first under each."""
    driver, profile, params, image, limits, emulated, virtual = key
    values = [(name, _sortable(value)) for name, value in sorted(json.loads(params).items())]
    variant = driver != BASELINE_DRIVER, driver, profile not in ("default", driver), profile
    return values, image, limits, variant, emulated, virtual


def _sortable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))
