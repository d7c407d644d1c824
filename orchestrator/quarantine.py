"""Telling a sick host from a bad campaign: pure bookkeeping of who fails what others can do."""

from collections import defaultdict

from contract.trial import Outcome, Trial, canonical_json

FAILURES_IN_A_ROW = 5
"""So many trials failed one after another make a host sick, when another host could do one of them."""


class FailureWatch:
    """Learns how trials end, host by host."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, list[str]] = defaultdict(list)
        self._done_by: dict[str, set[str]] = defaultdict(set)
        self._sick: set[str] = set()

    def note(self, trial: Trial, outcome: Outcome) -> bool:
        """A trial has ended. Returns whether its host has just turned out to be sick.

        What fails everywhere is the campaign's fault, so a host is sick only when another one has
        completed something that failed here. What hosts measure together fails because of any of them.
        """
        cell = _cell(trial)
        if outcome in ("skipped", "lost") or trial.group:  # nobody tried, or not alone
            return False
        if outcome != "failed":
            self._in_a_row.pop(trial.host, None)
            self._done_by[cell].add(trial.host)
            return False
        failed = self._in_a_row[trial.host]
        failed.append(cell)
        if len(failed) < FAILURES_IN_A_ROW or trial.host in self._sick:
            return False
        if not any(self._done_by[cell] - {trial.host} for cell in failed):
            return False
        self._sick.add(trial.host)
        return True


def _cell(trial: Trial) -> str:
    what = (trial.experiment, trial.driver, trial.profile, trial.image, trial.params)
    return canonical_json(what)
