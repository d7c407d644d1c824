"""One module per experiment: its table, its plots, its words in the report.

A module here becomes a section by having ``EXPERIMENT``, ``FIELDS``, ``table`` and ``section``, as
``analysis.section.TableModule`` says. Nothing needs to be registered.
"""

import pkgutil
from importlib import import_module
from typing import cast

from analysis.section import TableModule


def table_modules() -> dict[str, TableModule]:
    """All table modules by the name of their experiment."""
    found: dict[str, TableModule] = {}
    for entry in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{entry.name}")
        if hasattr(module, "EXPERIMENT"):
            found[module.EXPERIMENT] = cast("TableModule", module)
    return found
