"""One execution of ``tonnage run``: here or on the fleet, watched, gathered, reported."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from contract.campaign import Campaign
from contract.errors import ResultsError, TrialCancelled
from contract.observing import Observing
from contract.parts import PackedPart
from contract.rows import InstanceRow
from contract.shared_parts import shared_parts
from contract.signing import Keys
from contract.trial import Trial
from orchestrator.cli.holding import holding
from orchestrator.cli.outputs import say
from orchestrator.cli.trial_filter import Choice
from orchestrator.cli.watching import observed
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import Dispatcher, InlineDispatcher, Order
from orchestrator.gather import Gathered, gather
from orchestrator.muster import Muster
from orchestrator.plan import Cell, Groups, plan_trials
from orchestrator.results import Results
from orchestrator.shared import fetch_missing
from orchestrator.sign_of_life import shown_alive

if TYPE_CHECKING:
    from workers.settings import HostSettings

EXIT_MISSING, EXIT_INTERRUPTED = 3, 5
_MOST_REASONS = 10


@dataclass(slots=True)
class Interrupts:
    """How often a person or the system has asked us to stop."""

    count: int = 0
    advice: str = "stopping; trials that hosts are measuring now are kept, and taken up next time"

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count SIGINT and SIGTERM instead of dying of them; a third one is not caught any more."""
        before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}

        def count(sign: int, _: object) -> None:
            self.count += 1
            if self.count == 1:
                print(f"\n{self.advice}", file=sys.stderr)  # noqa: T201
            if self.count >= 2:
                signal.signal(sign, before[signal.Signals(sign)])

        for sign in before:
            signal.signal(sign, count)
        try:
            yield
        finally:
            for sign, handler in before.items():
                signal.signal(sign, handler)


@dataclass(slots=True)
class Execution:
    """What to run and where its results go."""

    campaign: Campaign
    text: str
    cells: tuple[Cell, ...]
    folder: Path
    rerun: str
    """The command that measures again what failed."""
    retry_failed: bool = False
    only: Choice = field(default_factory=Choice)
    patience_s: float = 60.0
    reported: bool = True
    as_json: bool = False
    keys: Keys | None = None
    """Keys of the fleet's hosts; None believes everybody who can write to the broker."""
    observing: Observing = field(default_factory=Observing)
    _interrupts: Interrupts = field(default_factory=Interrupts)

    def run_here(self, host: "HostSettings") -> None:
        """Measure on this machine, one trial after another, without a broker."""
        self._interrupts.advice = "stopping after the trial that is running; once more to abandon it"
        trials = plan_trials(self.campaign, self.cells, [host.name])
        with holding(host, self.cells, f"a local run of '{self.campaign.campaign}'"):
            dispatcher = InlineDispatcher(host.name, _inline_runner(host, self._interrupts))
            self._conduct(trials, dispatcher, _absent_engines(host, trials))

    def run_on_fleet(self, broker: str) -> None:
        """Measure on hosts that the campaign selects: those alive, and those of the last execution."""
        from orchestrator.dispatch_celery import CeleryDispatcher

        fleet, groups = self._muster(broker)
        trials = plan_trials(self.campaign, self.cells, fleet.hosts, groups)
        name, place = self.campaign.campaign, self.campaign.results
        dispatcher = CeleryDispatcher(broker, name, fleet.hosts, place, self.keys)
        dispatcher.records.expect(trials)

        def newcomers() -> tuple[Trial, ...]:
            nonlocal trials
            if not (joined := fleet.newcomers()):
                return ()
            for host in joined:
                dispatcher.admit(host)
            theirs = plan_trials(self.campaign, self.cells, joined, groups)
            dispatcher.records.expect(theirs)
            trials = tuple(sorted((*trials, *theirs), key=lambda trial: trial.host))
            Results(self.folder).freeze(self.text, trials)
            return theirs

        dispatcher.claim()
        try:
            self._conduct(trials, dispatcher, fleet.why_not, newcomers)
        finally:
            dispatcher.release()

    def _muster(self, broker: str) -> tuple[Muster, Groups]:
        """Who takes part. One of the last execution that has gone keeps its place, and its results."""
        try:
            before = Results(self.folder).planned()
        except ResultsError:
            before = ()
        fleet = Muster(broker, self.campaign, {trial.host for trial in before}, self.keys)
        for name, why in fleet.left_out.items():
            typer.echo(f"left out: host {name}, {why}", err=True)
        return fleet, fleet.groups(before)

    def _conduct(
        self,
        trials: tuple[Trial, ...],
        dispatcher: Dispatcher,
        why_not: Callable[[Trial], str | None],
        newcomers: Callable[[], tuple[Trial, ...]] = lambda: (),
    ) -> None:
        results = Results(self.folder)
        self.only.see_some(trials)
        with results.locked(), shown_alive(self.folder):
            results.freeze(self.text, trials)
            self._fetch_from_place(results, trials)
            with (
                self._interrupts.counted(),
                observed(self.campaign.campaign, self.observing, plain=self.as_json) as observer,
            ):
                dispatcher.tell(observer.note)
                coordination = Coordination(
                    trials=trials,
                    results=results,
                    dispatcher=dispatcher,
                    observer=observer,
                    plan_rows=_planned_rows,
                    why_not=why_not,
                    retry_failed=self.retry_failed,
                    only=self.only,
                    newcomers=newcomers,
                    patience_s=self.patience_s,
                )
                coordination.run(lambda: self._interrupts.count > 0)
            trials = coordination.trials
            if self._interrupts.count or coordination.cancelled:
                self._say_interrupted(
                    results, trials, "cancelled" if coordination.cancelled else "interrupted"
                )
            gathered = gather(results, trials, self.rerun)
        self._report(results, gathered, trials)

    def _fetch_from_place(self, results: Results, trials: tuple[Trial, ...]) -> None:
        """Take parts that lie in the campaign's place, but not with keys: nobody has signed for them.

        Then their trials are asked for again, and hosts deliver what their spools hold.
        """
        if self.campaign.results and self.keys is None:
            shared = shared_parts(self.campaign.results, self.campaign.campaign)
            fetch_missing(results, shared, trials)

    def _say_interrupted(self, results: Results, trials: tuple[Trial, ...], how: str) -> None:
        attempts = results.attempts()
        there = sum(1 for trial in trials if attempts.get(trial.trial_id, (0,))[-1] > 0)
        typer.echo(
            f"{how}: {there} of {len(trials)} trials are measured; "
            "run the same command again for the rest",
            err=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED)

    def _report(self, results: Results, gathered: Gathered, trials: tuple[Trial, ...]) -> None:
        report = self._write_report(results)
        if self.as_json:
            summary = {"planned": gathered.planned, "outcomes": gathered.outcomes}
            summary |= {"verdicts": gathered.verdicts, "missing": gathered.missing}
            summary |= {"dataset": str(results.dataset), "report": report}
            typer.echo(json.dumps(summary))
        else:
            _say_summary(gathered)
            typer.echo(f"dataset: {results.dataset}")
            if report:
                typer.echo(f"report: {report}")
        meant = {trial.trial_id for trial in trials if self.only(trial)}
        if any(missing["trial_id"] in meant for missing in gathered.missing):
            raise typer.Exit(EXIT_MISSING)

    def _write_report(self, results: Results) -> str | None:
        """Where the page is; None when it was not wanted. What draws it takes seconds to import."""
        if not self.reported:
            return None
        from analysis.report import write_report

        return str(write_report(results.dataset, results.report))


def _say_summary(gathered: Gathered) -> None:
    outcomes = ", ".join(f"{count} {word}" for word, count in sorted(gathered.outcomes.items()))
    verdicts = ", ".join(f"{count} {word}" for word, count in sorted(gathered.verdicts.items()))
    typer.echo(f"trials: {gathered.planned} planned; {outcomes or 'none measured'}")
    typer.echo(f"verdicts: {verdicts or 'none'}")
    for text, count in gathered.doubts.most_common(_MOST_REASONS):
        say(f"  not valid: {count} × {text}")
    if gathered.verdicts["suspect"]:
        typer.echo(
            "  no verdict rests on suspect trials; on a quiet machine, measure into another --results"
        )
    reasons: dict[str, int] = {}
    for missing in gathered.missing:
        text = f"{missing['driver']}: {missing['reason']}"
        reasons[text] = reasons.get(text, 0) + 1
    for text, count in sorted(reasons.items(), key=lambda item: -item[1])[:_MOST_REASONS]:
        say(f"missing: {count} × {text}")
    if reasons:
        typer.echo("to measure failed trials again: the same command with --retry-failed")


def _planned_rows(trial: Trial) -> list[InstanceRow]:
    from workers.discover import find_experiment

    experiment = find_experiment(trial.experiment)
    return experiment.plan_rows(experiment.Params.model_validate(trial.params))


def _absent_engines(host: "HostSettings", trials: tuple[Trial, ...]) -> Callable[[Trial], str | None]:
    """Which of the drivers that the trials need cannot be used here, and why."""
    from workers.presence import probe_engine

    engines = {driver: probe_engine(driver, host) for driver in {trial.driver for trial in trials}}

    def why_not(trial: Trial) -> str | None:
        engine = engines[trial.driver]
        if trial.settings.get("uri"):  # not where the host's own is: the trial finds out
            return None
        return None if engine["present"] else f"no {trial.driver} here: {engine['reason']}"

    return why_not


def _inline_runner(host: "HostSettings", interrupts: Interrupts) -> Callable[[Order], PackedPart | None]:
    import uuid

    from contract.log_lines import measuring
    from workers.run import Assignment, run_trial
    from workers.telling import what_is_measured

    boot = uuid.uuid4().hex

    def run(order: Order) -> PackedPart | None:
        assignment = Assignment(
            order.trial, order.attempt, host, boot, cancelled=lambda: interrupts.count > 1
        )
        try:
            with measuring(**what_is_measured(order.trial, order.attempt)):
                return run_trial(assignment)
        except TrialCancelled:
            return None

    return run
