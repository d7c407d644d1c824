"""Progress of a campaign: live bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import nsmallest

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from contract.plain_text import printable
from contract.trial import Receipt, Trial
from orchestrator.dispatch import HostState
from orchestrator.observer import Event, Observer

PLAIN_EVERY_S = 10.0
HOSTS_SHOWN = 12


class Counts(Observer):
    """What both kinds of progress know."""

    def __init__(self) -> None:
        self.total = self.done = self.begun_with = 0
        self.outcomes: Counter[str] = Counter()
        self.states: dict[str, HostState] = {}
        self.per_host: Counter[str] = Counter()
        self.began = time.monotonic()

    def begin(self, total: int, done: int) -> None:
        """The loop starts."""
        self.total, self.done, self.begun_with = total, done, done
        self.began = time.monotonic()

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """A trial has ended."""
        self.done += 1
        self.outcomes[receipt.outcome] += 1
        self.per_host[trial.host] += 1

    def hosts(self, states: dict[str, HostState]) -> None:
        """State of the hosts."""
        self.states = states

    def joined(self, total: int, done: int) -> None:
        """There is more to do."""
        self.total += total
        self.done += done
        self.begun_with += done

    def left_s(self) -> float | None:
        """Time left at the rate so far."""
        measured = self.done - self.begun_with
        if not measured:
            return None
        return (time.monotonic() - self.began) / measured * (self.total - self.done)

    def trouble(self) -> str:
        """Outcomes other than completed, in words."""
        words = [f"{n} {word}" for word, n in self.outcomes.items() if word != "completed"]
        return ", ".join(words)


class PlainProgress(Counts):
    """A line every ten seconds, and one per note: for logs and pipes."""

    def __init__(self, console: Console, name: str) -> None:
        super().__init__()
        self._console, self._name = console, name
        self._said = 0.0

    def begin(self, total: int, done: int) -> None:
        """Say what is there already."""
        super().begin(total, done)
        self._say(f"{total} trials, {done} of them measured before")

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """Say how far it is, now and then and at the end."""
        super().received(trial, receipt)
        if time.monotonic() - self._said > PLAIN_EVERY_S or self.done == self.total:
            self._said = time.monotonic()
            left = self.left_s()
            rest = f", about {left:.0f} s left" if left and self.done < self.total else ""
            trouble = f" ({self.trouble()})" if self.trouble() else ""
            self._say(f"{self.done}/{self.total} trials{trouble}{rest}")

    def note(self, text: str, event: Event = "note", host: str = "") -> None:  # noqa: ARG002
        """Say it."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._console.print(
            f"{self._name}: {printable(text)}", markup=False, highlight=False, soft_wrap=True
        )


class LiveProgress(Counts):
    """A bar with time left, and a line per host."""

    def __init__(self, console: Console, name: str) -> None:
        super().__init__()
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[red]{task.fields[trouble]}"),
            console=console,
        )
        self._task = self._bar.add_task(name, total=None, trouble="")

    def begin(self, total: int, done: int) -> None:
        """Set the bar."""
        super().begin(total, done)
        self._bar.update(self._task, total=total, completed=done)

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """Move the bar."""
        super().received(trial, receipt)
        self._bar.update(self._task, completed=self.done, trouble=self.trouble())

    def joined(self, total: int, done: int) -> None:
        """Make the bar longer."""
        super().joined(total, done)
        self._bar.update(self._task, total=self.total, completed=self.done)

    def note(self, text: str, event: Event = "note", host: str = "") -> None:  # noqa: ARG002
        """Print it above the bar."""
        self._console.print(printable(text), markup=False, highlight=False)

    def __rich__(self) -> RenderableType:
        return Group(self._bar, *self._host_lines())

    def _host_lines(self) -> Iterator[Text]:
        shown = nsmallest(HOSTS_SHOWN, self.states.items(), key=lambda item: (item[1].alive, item[0]))
        for name, state in shown:
            word = "away" if not state.alive else printable(state.activity) or "waiting"
            style = "red" if not state.alive else "green" if state.activity else "dim"
            yield Text(f"  {name:24} {word:24} {self.per_host[name]:6} done", style=style)
        if len(self.states) > HOSTS_SHOWN:
            alive = sum(state.alive for state in self.states.values())
            yield Text(f"  … {len(self.states)} hosts in all, {alive} alive", style="dim")


@contextmanager
def watching(name: str, *, plain: bool = False) -> Iterator[Observer]:
    """Progress on standard error for as long as the block runs."""
    console = Console(stderr=True)
    if plain or not sys.stderr.isatty():
        yield PlainProgress(console, name)
        return
    progress = LiveProgress(console, name)
    with Live(progress, console=console, refresh_per_second=4, transient=False):
        yield progress
