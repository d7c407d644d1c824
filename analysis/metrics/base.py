"""A metric, and what was measured of it in one cell: the number of the report, and a value per block."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from analysis.cells import Cell, Cells
from analysis.statistics.blocks import Floats, Ints
from analysis.statistics.comparison import BlockKey, BlockMedians
from analysis.statistics.proportions import Estimate

Unit = Literal["ns", "bytes", "cpus", "share", "per_s", "bytes_per_s", "count", "ratio", "number"]
Better = Literal["lower", "higher"]
Row = Mapping[str, Any]

EVERY_HOST = -1
"""In the place of a host's code: hosts that measure together make one value per block."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is one number per cell."""

    name: str
    meaning: str
    unit: Unit
    better: Better = "lower"
    main: bool = True
    """Whether it is what the experiment is about, and not a part or the tail of that."""
    quantile: str | None = None
    """Of a distribution: ``p50``; None when the metric is one number by itself."""

    @property
    def drifts(self) -> bool:
        """Whether a host's moment moves it: times and rates, not what is counted or held."""
        return self.unit in ("ns", "cpus", "per_s", "bytes_per_s", "number")

    @property
    def title(self) -> str:
        """``e2e p99``, ``failed_share``."""
        return f"{self.name} {self.quantile}" if self.quantile else self.name


@dataclass(frozen=True)
class ShareBlocks:
    """Hits among attempts in each block."""

    keys: tuple[BlockKey, ...]
    hits: Floats
    sizes: Floats

    def select(self, hosts: set[int]) -> "ShareBlocks":
        """The same for the blocks of some hosts."""
        chosen = np.array([host in hosts for host, _ in self.keys], dtype=bool)
        keys = tuple(key for key in self.keys if key[0] in hosts)
        return ShareBlocks(keys, self.hits[chosen], self.sizes[chosen])


@dataclass(frozen=True)
class Measured:
    """One metric in one cell."""

    estimate: Estimate
    """As the report gives it."""
    n: int
    """Values behind it: instances, injections, staircases or common measurements."""
    blocks: BlockMedians | ShareBlocks
    """What comparison takes: a value of the metric per block, or hits and attempts for a share."""
    grain: float = 0.0
    """By how much of itself the value is not known because it was looked for in steps."""
    unsure: str | None = None
    """Why it may not be compared, whatever the numbers say."""


@dataclass(frozen=True)
class Measure:
    """A metric, and the way to find it in a cell; None where the cell has nothing of it."""

    metric: Metric
    of: Callable[[Cell], Measured | None]


def plain_blocks(values: Mapping[BlockKey, float]) -> BlockMedians:
    """One value per block of which nothing is known about the noise within."""
    keys = tuple(sorted(values))
    ones: Ints = np.ones(len(keys), dtype=np.int64)
    found = np.array([values[key] for key in keys], dtype=np.float64)
    return BlockMedians(keys, found, np.zeros((1, len(keys))), ones)


def fleet_rows(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Rows of a table for the fleet, by variant and conditions: one per cell."""
    return {
        (row["variant"], row["conditions"]): row for row in rows if row.get("scope", "fleet") == "fleet"
    }


def row_of(cells: Cells, rows: Mapping[tuple[str, str], Row], cell: Cell) -> Row | None:
    """The row of one cell among those of ``fleet_rows``."""
    return rows.get((cell.variant, cells.condition(cell)))


def estimate_in(row: Row, pattern: str) -> Estimate:
    """Value and interval from a row whose columns are named by ``pattern``: ``median{}_ns``."""
    return Estimate(*(row.get(pattern.format(end)) for end in ("", "_low", "_high")))
