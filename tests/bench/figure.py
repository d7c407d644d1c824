"""What a benchmark says: figures, each beside its limit from the same run, and its budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Size(StrEnum):
    """How much is measured. ``FULL`` and ``HUGE`` are what is compared and committed."""

    SMOKE = "smoke"
    """Seconds: whether the benchmark works at all."""
    FULL = "full"
    """Minutes: what the budgets of docs/performance.md are about."""
    HUGE = "huge"
    """Hours, or more memory than most have: how far it goes."""


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark. ``limit`` is what the bare tools need for the same in the same run."""

    case: str
    """What was done, in words that stay: cases are matched by them."""
    value: float
    unit: str
    limit: float | None = None
    limit_is: str = ""
    """What the limit does, such as 'bare loop of HTTP calls'."""
    budget: float | None = None
    """Largest ``ratio`` that is accepted, or largest value where there is no limit.
    Where more is better, the smallest value."""
    higher_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the limit this needs: 1 is as good as bare, 2 half as good."""
        if not self.limit or not self.value:
            return None
        return self.limit / self.value if self.higher_is_better else self.value / self.limit

    @property
    def keeps_budget(self) -> bool | None:
        """None where there is no budget."""
        if self.budget is None:
            return None
        if self.limit is not None:
            return self.ratio is not None and self.ratio <= self.budget
        return self.value >= self.budget if self.higher_is_better else self.value <= self.budget


class Benchmark(Protocol):
    """A module of tests/bench/speed. Its docstring's first line is its title."""

    NEEDS: tuple[str, ...]
    """Engines: redis, docker, libvirt."""

    def measure(self, size: Size) -> Iterator[Figure]:
        """Measure, ours and the limit in turn. Figures are yielded as they are had."""
