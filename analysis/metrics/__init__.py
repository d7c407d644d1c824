"""What can be compared and gated: one module per experiment says which numbers of it, block by block.

A module here is found by being there. It has ``EXPERIMENT`` and ``measures``, which takes the cells of
that experiment and returns what can be asked of each.
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module

from analysis.cells import Cells
from analysis.metrics.base import Measure

MeasuresOf = Callable[[Cells], list[Measure]]


def measures_by_experiment() -> dict[str, MeasuresOf]:
    """The measures of every experiment that has some, by its name."""
    found: dict[str, MeasuresOf] = {}
    for entry in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{entry.name}")
        if hasattr(module, "EXPERIMENT"):
            found[module.EXPERIMENT] = module.measures
    return found
