"""What of a run is seen: progress for people or a log, and metrics where they are wanted."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from contract.log_lines import set_up
from contract.observing import Observing
from contract.trial import Receipt, Trial
from orchestrator.cli.options import host_name
from orchestrator.cli.progress import PLAIN_EVERY_S, Counts, watching
from orchestrator.observer import Event, Observer, Observers

log = logging.getLogger("tonnage.coordinator")

WARNED_OF: tuple[Event, ...] = ("host_away", "host_given_up", "host_quarantined", "broker_away")


class LoggedProgress(Counts):
    """The campaign as events in a log; each trial's end only at level debug."""

    def __init__(self, campaign: str) -> None:
        super().__init__()
        self._campaign = campaign
        self._said = 0.0

    def begin(self, total: int, done: int) -> None:
        """Say what there is to do."""
        super().begin(total, done)
        self._say("run_begun", f"{total} trials, {done} of them measured before", total=total, done=done)

    def received(self, trial: Trial, receipt: Receipt) -> None:
        """Say how far it is, now and then and at the end."""
        super().received(trial, receipt)
        how: dict[str, str | int] = {"outcome": receipt.outcome, "verdict": receipt.verdict}
        text = f"trial {trial.trial_id}: {receipt.outcome}, {receipt.verdict}"
        about = _about(trial) | {"attempt": receipt.attempt} | how
        self._say("trial_received", text, logging.DEBUG, **about)
        if time.monotonic() - self._said > PLAIN_EVERY_S or self.done == self.total:
            self._said = time.monotonic()
            left_s = round(self.left_s() or 0)
            text = f"{self.done}/{self.total} trials, about {left_s} s left"
            self._say("progress", text, total=self.total, done=self.done, left_s=left_s)

    def lost(self, trial: Trial, *, again: bool) -> None:
        """Say which."""
        rest = "it is sent again" if again else "it is not sent again"
        text = f"trial {trial.trial_id} was lost on host {trial.host}; {rest}"
        self._say("trial_lost", text, logging.WARNING, **_about(trial))

    def note(self, text: str, event: Event = "note", host: str = "") -> None:
        """Say it, and whom it is about."""
        level = logging.WARNING if event in WARNED_OF else logging.INFO
        self._say(event, text, level, **({"about_host": host} if host else {}))

    def end(self, how: str) -> None:
        """Say how the run ended."""
        self._say(
            "run_ended",
            f"{how}: {self.done}/{self.total} trials",
            total=self.total,
            done=self.done,
            how=how,
        )

    def _say(self, event: str, text: str, level: int = logging.INFO, **fields: str | int) -> None:
        said = {"event": event, "campaign": self._campaign, **fields}
        log.log(level, "%s: %s", self._campaign, text, extra=said)


def _about(trial: Trial) -> dict[str, str | int]:
    return {
        "about_host": trial.host,
        "trial": trial.trial_id,
        "experiment": trial.experiment,
        "driver": trial.driver,
    }


@contextmanager
def observed(campaign: str, observing: Observing, *, plain: bool = False) -> Iterator[Observer]:
    """Everything that is to be seen of a run, for as long as the block runs.

    Raises UseError when metrics cannot be shown where they are wanted.
    """
    with ExitStack() as stack:
        counted: list[Observer] = []
        if observing.metrics.wanted:
            from orchestrator.metrics import metrics_shown

            counted = stack.enter_context(metrics_shown(observing.metrics, campaign))
        if observing.log_wanted:
            set_up(observing.log.model_copy(update={"host": host_name()}))
            shown: Observer = stack.enter_context(_logged(campaign))
        else:
            shown = stack.enter_context(watching(campaign, plain=plain))
        yield Observers(shown, *counted)


@contextmanager
def _logged(campaign: str) -> Iterator[LoggedProgress]:
    progress = LoggedProgress(campaign)
    how = "ended"
    try:
        yield progress
        how = "ended" if progress.done == progress.total else "stopped"
    except BaseException:
        how = "failed"
        raise
    finally:
        progress.end(how)
