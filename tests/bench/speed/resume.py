"""Beginning again: planning, what is left of a plan, and a campaign's standing, against bare listings.

All parts are there, so that a resumed run finds nothing to do. What ours does more than its limit is the
point of each ratio: it compares names with a plan, the limit only reads them.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import many_trials
import shared_place
from figure import Figure, Size
from interleaved import in_turn, medians

from contract.parts import Receipt
from contract.trial import Trial
from orchestrator.coordinate import Coordination
from orchestrator.dispatch import InlineDispatcher
from orchestrator.observer import Observer
from orchestrator.results import Results
from orchestrator.standing import StandingReader

NEEDS: tuple[str, ...] = ()
TRIALS = {Size.SMOKE: 300, Size.FULL: 10_000, Size.HUGE: 100_000}
OBJECTS = {Size.SMOKE: 30, Size.FULL: 3_000, Size.HUGE: 20_000}
SCANNED = {Size.SMOKE: 2_000, Size.FULL: 100_000, Size.HUGE: 100_000}
ROUNDS = {Size.SMOKE: 1, Size.FULL: 5, Size.HUGE: 3}
LISTING = "bare os.scandir"
_OWN = {"host", "block", "order", "seed"}


class _Silent(Observer):
    """Nobody watches."""

    def begin(self, total: int, done: int) -> None:
        assert total == done, f"{total - done} of {total} trials are to be measured"

    def received(self, trial: Trial, receipt: Receipt) -> None:
        raise AssertionError(receipt)


def measure(size: Size) -> Iterator[Figure]:
    """Seconds for all trials together."""
    count, rounds = TRIALS[size], ROUNDS[size]
    yield from _planning(count, rounds)
    with tempfile.TemporaryDirectory(prefix="bench-resume-") as folder:
        results = Results(Path(folder) / "results")
        many_trials.fill(results, many_trials.plan(count), (1, 1))
        yield from _resuming(results, count, rounds)
        yield from _standing(results, count, rounds)
    yield from shared_place.scan_figures(SCANNED[size], rounds)
    yield from shared_place.figures(OBJECTS[size], rounds)


def _planning(count: int, rounds: int) -> Iterator[Figure]:
    """From a campaign to its trials with their ids; the limit knows the contents already."""
    contents = [trial.model_dump(mode="json", exclude={"order"}) for trial in many_trials.plan(count)]

    def plan() -> object:
        return [trial.trial_id for trial in many_trials.plan(count)]

    def hashes() -> object:
        texts = (json.dumps(content, sort_keys=True, separators=(",", ":")) for content in contents)
        return [hashlib.sha256(text.encode()).hexdigest() for text in texts]

    found = medians(in_turn(rounds, {"ours": _timed(plan), "bare": _timed(hashes)}))
    limit = "json.dumps and SHA-256 of the same contents"
    yield Figure(f"plan {count:,} trials with their ids", found["ours"], "s", found["bare"], limit)


def _resuming(results: Results, count: int, rounds: int) -> Iterator[Figure]:
    trials = results.planned()
    ids = {trial.trial_id for trial in trials}
    parts = results.parts

    def names() -> list[str]:
        return [entry.name for entry in os.scandir(parts)]

    def difference() -> None:
        assert not ids - {name[:32] for name in names()}

    def left() -> None:
        _left(results, trials)

    def begin() -> None:
        before = results.planned()
        with results.locked():
            results.freeze(many_trials.TEXT, before)
            _left(results, before)

    ways = {
        "listing": _timed(results.attempts),
        "left": _timed(left),
        "begin": _timed(begin),
        "names": _timed(names),
        "difference": _timed(difference),
    }
    found = medians(in_turn(rounds, ways))
    case = f"of {count:,} trials"
    yield Figure(f"list the parts {case}", found["listing"], "s", found["names"], LISTING)
    limit = f"{LISTING} and a difference of sets"
    yield Figure(f"what is left {case}: plan - parts", found["left"], "s", found["difference"], limit)
    note = "Reads the plan, makes the ids anew, freezes the plan again, and finds what is left."
    yield Figure(f"resume a run {case}", found["begin"], "s", found["names"], LISTING, note=note)
    yield Figure(f"resume a run {case}: parts opened", opened(begin, parts), "files", budget=0)


def _standing(results: Results, count: int, rounds: int) -> Iterator[Figure]:
    """``tonnage status``, with what was noted when parts came in, and without."""
    trials = results.planned()
    notes = results.received
    noted = notes.read_bytes()

    def status() -> None:
        assert StandingReader(results).read().left == 0

    def without_notes() -> float:
        notes.unlink()
        try:
            return _timed(status)()
        finally:
            notes.write_bytes(noted)

    def read_all() -> int:
        return sum(len(Path(entry.path).read_bytes()) for entry in os.scandir(results.parts))

    def names() -> list[str]:
        return [entry.name for entry in os.scandir(results.parts)]

    ways = {"status": _timed(status), "names": _timed(names)}
    ways |= {"looked into": without_notes, "read": _timed(read_all)}
    ways["checked"] = _timed(lambda: [results.check(t.trial_id, 1) for t in trials])
    found = medians(in_turn(rounds, ways))
    again = f"what failed of {count:,} trials, for --retry-failed"
    yield Figure(again, found["checked"], "s", found["read"], "reading every part")
    case = f"status of {count:,} trials"
    yield Figure(case, found["status"], "s", found["names"], LISTING)
    yield Figure(f"{case}: parts opened", opened(status, results.parts), "files", budget=0)
    yield Figure(
        f"{case}, when nothing was noted", found["looked into"], "s", found["read"], "reading every part"
    )


def _left(results: Results, trials: tuple[Trial, ...]) -> None:
    """The campaign loop, which finds nothing to do. Raises AssertionError when it finds some."""
    dispatcher = InlineDispatcher("h00000", lambda _: None)
    Coordination(trials, results, dispatcher, _Silent(), plan_rows=lambda _: []).run(lambda: False)


def opened(act: Callable[[], object], parts: Path) -> int:
    """How many parts a call opens."""
    found, watching = 0, True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal found
        if watching and event == "open":
            name = str(arguments[0])
            found += name.startswith(str(parts)) and name.endswith(".part")

    sys.addaudithook(hook)  # stays for the life of the process, and looks no more
    act()
    watching = False
    return found


def _timed(act: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        begun = time.perf_counter()
        act()
        return time.perf_counter() - begun

    return once
