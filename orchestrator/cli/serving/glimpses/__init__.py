"""What the web page draws of an experiment while it runs: one module per experiment, named as it.

A module here is found by being there. It has ``see``, which takes a part and returns its sights. An
experiment without a module of its own is seen by ``others``.
"""

import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module

from contract.parts import Part
from orchestrator.cli.serving.glimpses.base import Sight

See = Callable[[Part], Iterable[Sight]]


@cache
def glimpse_of(experiment: str) -> See:
    """The function that says what a part of this experiment shows."""
    named = {entry.name for entry in pkgutil.iter_modules(__path__)} - {"base"}
    module = import_module(f"{__name__}.{experiment if experiment in named else 'others'}")
    see: See = module.see
    return see
