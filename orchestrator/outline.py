"""The plan in short, for who asks how its trials stand: read many times faster than the whole."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from contract import CONTRACT_VERSION
from contract.json_text import loads
from contract.typed_json import read_shape

PLAN_VERSION = 1
"""Of the layout of the file. One without a version is of the first releases, and of version 1."""
MAX_BYTES = 2**40
"""The plan is the coordinator's own: whatever it has written."""


class Cell(msgspec.Struct, frozen=True):
    """What the trials of one cell share."""

    contract: int
    campaign: str
    driver: str
    experiment: str
    profile: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """One trial."""

    trial_id: str
    cell: Annotated[int, msgspec.Meta(ge=0)]
    """Its place among the cells."""
    host: str
    block: int


class _Plan(msgspec.Struct):
    cells: list[Cell]
    trials: list[Line]
    version: int = PLAN_VERSION


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial as far as it takes to say how it stands."""

    trial_id: str
    campaign: str
    host: str
    driver: str
    experiment: str
    profile: str
    block: int


@dataclass(frozen=True, slots=True)
class Outline:
    """Cells once, and a line per trial, its id as it was written."""

    cells: list[Cell]
    lines: list[Line]

    @property
    def campaign(self) -> str:
        """Its name; empty for a plan without trials."""
        return self.cells[self.lines[0].cell].campaign if self.lines else ""

    def planned(self) -> list[PlannedTrial]:
        """Each trial with what it shares."""
        return [
            PlannedTrial(
                line.trial_id,
                cell.campaign,
                line.host,
                cell.driver,
                cell.experiment,
                cell.profile,
                line.block,
            )
            for line in self.lines
            for cell in (self.cells[line.cell],)
        ]


def read_outline(path: Path) -> Outline:
    """The plan in short. Raises OSError, ValueError, TypeError or LookupError for what is none."""
    text = path.read_bytes()
    try:
        plan = read_shape(_decoder(), text, MAX_BYTES)
    except ValueError:  # of another layout, or with NaN among what we do not read
        plan = msgspec.convert(layout_of(loads(text), path.name), _Plan)
    see_version(plan.version)
    for cell in plan.cells:
        see_contract(cell.contract)
    if any(line.cell >= len(plan.cells) for line in plan.trials):
        raise ValueError("it has a trial of a cell that it does not have")
    return Outline(plan.cells, plan.trials)


def layout_of(content: Any, name: str) -> dict[str, Any]:
    """The content of a plan's file. Raises ValueError for another layout, in words about releases."""
    if not isinstance(content, dict) or not {"cells", "trials"} <= content.keys():
        raise ValueError(
            f"{name} is laid out as no plan of version {PLAN_VERSION} is; use the release of "
            "Tonnage that wrote it, or run the campaign into another folder"
        )
    see_version(content.get("version", PLAN_VERSION))
    for cell in content["cells"]:
        see_contract(cell["contract"])
    return content


def see_version(version: object) -> None:
    """Raises ValueError for a layout that this release does not read."""
    if version != PLAN_VERSION:
        raise ValueError(
            f"its plan is of version {version!r}, and this release reads {PLAN_VERSION}; use the "
            "release of Tonnage that wrote it, or run the campaign into another folder"
        )


def see_contract(version: object) -> None:
    """Raises ValueError for trials that another release has planned."""
    if version != CONTRACT_VERSION:
        raise ValueError(
            f"its trials are of contract version {version!r}, and this release speaks "
            f"{CONTRACT_VERSION}; use the release of Tonnage that planned them"
        )


@cache
def _decoder() -> "msgspec.json.Decoder[_Plan]":
    return msgspec.json.Decoder(_Plan)
