"""What became of the rules of a gate."""

from dataclasses import dataclass
from typing import Literal

Word = Literal["pass", "fail", "undecided", "nothing matched"]
Undecided = Literal["fail", "pass"]

_RANK: tuple[Word, ...] = ("nothing matched", "fail", "undecided", "pass")


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """One rule in one cell."""

    cell: str
    word: Word
    found: str
    """The value with its interval, in words."""
    why: str


@dataclass(frozen=True)
class RuleOutcome:
    """One rule: as bad as its worst cell."""

    title: str
    demand: str
    """What was asked for, in words."""
    cells: tuple[CellOutcome, ...]

    @property
    def word(self) -> Word:
        """How it ended."""
        return min((cell.word for cell in self.cells), key=_RANK.index)


@dataclass(frozen=True)
class GateOutcome:
    """The whole gate."""

    name: str
    rules: tuple[RuleOutcome, ...]
    undecided: Undecided
    notes: tuple[str, ...] = ()

    def holds(self, word: Word) -> bool:
        """Whether a rule that ended so lets the gate pass."""
        return word == "pass" or (word == "undecided" and self.undecided == "pass")

    @property
    def passed(self) -> bool:
        """Whether every rule lets it."""
        return all(self.holds(rule.word) for rule in self.rules)

    @property
    def summary(self) -> str:
        """One sentence."""
        counts = [(word, sum(rule.word == word for rule in self.rules)) for word in _RANK]
        said = ", ".join(f"{count} {word}" for word, count in reversed(counts) if count)
        rules = f"{len(self.rules)} rule{'' if len(self.rules) == 1 else 's'}"
        return f"Gate {self.name} {'passed' if self.passed else 'failed'}: of {rules} {said}."
