"""Progress: plain lines for logs, bars with a line per host for terminals."""

import io

from rich.console import Console
from trials import make_part, make_trial

from contract.trial import Receipt
from orchestrator.cli.progress import HOSTS_SHOWN, LiveProgress, PlainProgress, watching
from orchestrator.dispatch import HostState


def receipt(outcome: str = "completed") -> Receipt:
    return make_part(outcome=outcome).receipt


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_a_log_says_what_was_there_and_how_it_ended() -> None:
    out = console()
    progress = PlainProgress(out, "sample")
    progress.begin(3, 1)
    for outcome in ("completed", "failed"):
        progress.received(make_trial(), receipt(outcome))
    progress.note("host h2 [is] away")
    lines = text_of(out).splitlines()
    assert lines[0] == "sample: 3 trials, 1 of them measured before"
    assert lines[-2] == "sample: 3/3 trials (1 failed)"
    assert lines[-1] == "sample: host h2 [is] away"  # brackets are no markup


def test_time_left_follows_the_rate_of_this_run() -> None:
    progress = PlainProgress(console(), "sample")
    progress.begin(10, 8)
    assert progress.left_s() is None
    progress.received(make_trial(), receipt())
    assert progress.left_s() is not None
    progress.received(make_trial(), receipt())
    assert progress.left_s() == 0


def test_a_terminal_shows_bars_and_the_hosts_that_matter() -> None:
    out = console(terminal=True)
    progress = LiveProgress(out, "sample")
    progress.begin(4, 1)
    progress.received(make_trial(), receipt("failed"))
    states = {f"idle-{i:02d}": HostState(alive=True) for i in range(HOSTS_SHOWN + 3)}
    progress.hosts(
        states | {"gone": HostState(alive=False), "h1": HostState(alive=True, activity="docker")}
    )
    out.print(progress)
    shown = text_of(out)
    assert "2/4" in shown
    assert "1 failed" in shown
    assert "gone" in shown
    assert f"… {HOSTS_SHOWN + 5} hosts in all, {HOSTS_SHOWN + 4} alive" in shown


def test_pipes_get_plain_lines() -> None:
    with watching("sample", plain=True) as observer:
        assert isinstance(observer, PlainProgress)
