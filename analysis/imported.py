"""What others measured: where it comes from, and what its numbers can therefore not say."""

import json
from dataclasses import dataclass
from typing import Any

from analysis.cells import Cells
from analysis.dataset import Dataset
from contract.parts import IMPORTED

NOT_IN_TURN = "imported, and not measured in turn"
"""Why no verdict is given, however far apart two imported cells are."""

MARK = f"json_extract(facts, '$.{IMPORTED}') IS NOT NULL"
"""In SQL over the trials table: whether others measured the trial."""
OUT_OF_TURN = f"""
    ({MARK} AND NOT coalesce(CAST(json_extract(facts, '$.{IMPORTED}.interleaved') AS BOOLEAN), false))
"""
"""In SQL over the trials table: whether others measured it, and not in turn with its block's others."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that imported trials came from."""

    name: str
    sha256: str
    format: str
    trials: int


@dataclass(frozen=True, slots=True)
class Origin:
    """All that is known of the imported trials of a dataset."""

    trials: int
    measured_by: tuple[str, ...]
    places: tuple[str, ...]
    licenses: tuple[str, ...]
    files: tuple[SourceFile, ...]
    hosts: int


def origin_of(dataset: Dataset) -> Origin | None:
    """Where the imported trials of a dataset come from; None where there is none."""
    rows = dataset.rows(_ORIGINS)
    if not rows:
        return None
    said = [json.loads(row["said"]) for row in rows]
    counted: dict[tuple[str, str, str], int] = {}
    for row, one in zip(rows, said, strict=True):
        for file in one.get("files", ()):
            key = str(file.get("file")), str(file.get("sha256")), str(one.get("format"))
            counted[key] = counted.get(key, 0) + row["trials"]
    return Origin(
        trials=sum(row["trials"] for row in rows),
        measured_by=_texts(said, "measured_by"),
        places=_texts(said, "origin"),
        licenses=_texts(said, "license"),
        files=tuple(SourceFile(*key, trials) for key, trials in counted.items()),
        hosts=dataset.rows(_HOSTS)[0]["hosts"],
    )


def cells_out_of_turn(cells: Cells) -> frozenset[int]:
    """Cells with imported trials whose blocks nothing pairs with those of other cells."""
    apart = {row["trial_id"] for row in cells.dataset.rows(_OUT_OF_TURN)}
    return frozenset(m.cell for m in cells.memberships if m.trial_id in apart)


def _texts(said: list[dict[str, Any]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one[key]) for one in said if one.get(key)))


_ORIGINS = f"""
    SELECT CAST(json_extract(facts, '$.{IMPORTED}') AS VARCHAR) AS said, count(*) AS trials
    FROM trials WHERE {MARK} GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - a name of the contract
_HOSTS = f"SELECT count(DISTINCT host) AS hosts FROM trials WHERE {MARK}"  # noqa: S608 - the same
_OUT_OF_TURN = f"SELECT trial_id FROM trials WHERE {OUT_OF_TURN}"  # noqa: S608 - the same
