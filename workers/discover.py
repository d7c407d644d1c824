"""Finding drivers and experiments by their module names: a file in the folder is all it takes."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

import workers.drivers
import workers.experiments
from contract.catalog import Catalog, DriverInfo, ExperimentInfo
from contract.errors import CampaignError
from workers.drivers.base import AnyDriver
from workers.experiments.base import Experiment


@cache
def find_driver(name: str) -> type[AnyDriver]:
    """The class ``Driver`` of the module of that name. Raises CampaignError for an unknown one."""
    found: type[AnyDriver] = _find(workers.drivers, name, "Driver")
    return found


@cache
def find_experiment(name: str) -> type[Experiment]:
    """The class ``Experiment`` of the module of that name. Raises CampaignError for an unknown one."""
    found: type[Experiment] = _find(workers.experiments, name, "Experiment")
    return found


@cache
def build_catalog() -> Catalog:
    """What planning must know of every driver and experiment here."""
    drivers = {
        name: DriverInfo(name, kind.summary, kind.Settings, kind.offers, kind.stands_for)
        for name in _names(workers.drivers, "Driver")
        for kind in [find_driver(name)]
    }
    experiments = {
        name: ExperimentInfo(
            name,
            kind.summary,
            kind.Params,
            kind.metrics,
            kind.needs,
            kind.plan_rows,
            kind.example,
            kind.together,
        )
        for name in _names(workers.experiments, "Experiment")
        for kind in [find_experiment(name)]
    }
    return Catalog(drivers, experiments)


def _names(package: ModuleType, class_name: str) -> list[str]:
    """Modules of the package that declare such a class, leaving out interfaces and shared steps."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [n for n in names if n != "base" and hasattr(_load(package, n), class_name)]


def _find(package: ModuleType, name: str, class_name: str) -> Any:
    if name not in _names(package, class_name):
        kind = class_name.lower()
        raise CampaignError(
            f"no {kind} named '{name}'; there are: {', '.join(_names(package, class_name))}"
        )
    return getattr(_load(package, name), class_name)


def _load(package: ModuleType, name: str) -> ModuleType:
    return importlib.import_module(f"{package.__name__}.{name}")
