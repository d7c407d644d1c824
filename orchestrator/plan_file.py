"""The plan as a results folder keeps it: every cell once, and a line per trial.

A hundred thousand trials are then some 15 MB, and those that are read again share their cell's content.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from contract.campaign import Frozen, Name
from contract.json_text import loads
from contract.trial import Trial
from orchestrator.outline import PLAN_VERSION, layout_of, see_version

_VERSION = re.compile(rb'\{\s*"version": ([0-9]{1,9}),')
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


def plan_text(trials: tuple[Trial, ...]) -> str:
    """The plan as JSON: its ``version``, ``cells``, and ``trials`` that name theirs by its place."""
    places: dict[tuple[object, ...], int] = {}
    cells: list[str] = []
    lines = []
    for trial in trials:
        place = places.setdefault(_shared(trial), len(places))
        if place == len(cells):
            cells.append(json.dumps(trial.model_dump(mode="json", exclude=OWN)))
        own = {"trial_id": trial.trial_id, "cell": place, "host": trial.host, "block": trial.block}
        lines.append(json.dumps(own | {"order": trial.order, "seed": trial.seed}))
    head = f'"version": {PLAN_VERSION},\n"cells"'
    return f'{{{head}: [\n{_joined(cells)}],\n"trials": [\n{_joined(lines)}]}}\n'


def read_plan(path: Path) -> tuple[Trial, ...]:
    """All trials. Raises OSError, ValueError, TypeError or LookupError for what is no plan."""
    content = layout_of(loads(path.read_bytes()), path.name)
    return tuple(_trials(content["cells"], _LINES.validate_python(content["trials"])))


def refuse_newer(path: Path) -> None:
    """Raises ValueError for a plan that a later release has written: no other may be put over it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        if found := _VERSION.match(file.read(100)):
            see_version(int(found[1]))


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
