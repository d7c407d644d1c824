"""The plan as a results folder keeps it: every cell once, and a line per trial.

A hundred thousand trials are then some 15 MB, and those that are read again share their cell's content.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from contract.campaign import Frozen, Name
from contract.json_text import loads
from contract.trial import Trial

OWN = {"host", "block", "order", "seed"}
"""What trials of one cell differ in."""
_SHARED = attrgetter(*sorted(set(Trial.model_fields) - OWN))


class _Line(Frozen):
    trial_id: str
    cell: int = Field(ge=0)
    host: Name
    block: int = Field(ge=0)
    order: int = Field(ge=0)
    seed: int = Field(ge=0, lt=2**63)


_LINES = TypeAdapter(list[_Line])


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial as far as it takes to say how it stands."""

    trial_id: str
    campaign: str
    host: str
    driver: str


def plan_text(trials: tuple[Trial, ...]) -> str:
    """The plan as JSON: ``cells``, and ``trials`` that name theirs by its place."""
    places: dict[tuple[object, ...], int] = {}
    cells: list[str] = []
    lines = []
    for trial in trials:
        place = places.setdefault(_shared(trial), len(places))
        if place == len(cells):
            cells.append(json.dumps(trial.model_dump(mode="json", exclude=OWN)))
        own = {"trial_id": trial.trial_id, "cell": place, "host": trial.host, "block": trial.block}
        lines.append(json.dumps(own | {"order": trial.order, "seed": trial.seed}))
    return f'{{"cells": [\n{_joined(cells)}],\n"trials": [\n{_joined(lines)}]}}\n'


def read_plan(path: Path) -> tuple[Trial, ...]:
    """All trials. Raises OSError, ValueError, TypeError or LookupError for what is no plan."""
    content = json.loads(path.read_bytes())
    return tuple(_trials(content["cells"], _LINES.validate_python(content["trials"])))


def read_outline(path: Path) -> list[PlannedTrial]:
    """The trials in short, their ids as they were written. Raises as ``read_plan`` does."""
    content = loads(path.read_bytes())
    cells = content["cells"]
    return [
        PlannedTrial(
            line["trial_id"],
            cells[line["cell"]]["campaign"],
            line["host"],
            cells[line["cell"]]["driver"],
        )
        for line in content["trials"]
    ]


def _shared(trial: Trial) -> tuple[object, ...]:
    """What a trial shares with others of its cell; mappings by identity, for speed."""
    return tuple(id(value) if isinstance(value, dict) else value for value in _SHARED(trial))


def _trials(cells: list[dict[str, Any]], lines: list[_Line]) -> Iterator[Trial]:
    drafts: dict[int, Trial] = {}
    for line in lines:
        own = {"host": line.host, "block": line.block, "order": line.order, "seed": line.seed}
        if line.cell not in drafts:  # checked once; a copy is not, but its own fields were above
            drafts[line.cell] = Trial.model_validate(cells[line.cell] | own)
        yield drafts[line.cell].model_copy(update=own)


def _joined(lines: list[str]) -> str:
    return ",\n".join(lines)
