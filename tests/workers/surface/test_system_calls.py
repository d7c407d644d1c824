"""Counting system calls, and what is told when they cannot be counted."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from workers.surface import system_calls
from workers.surface.system_calls import Strace, counts_in

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 66.67    0.000200          20        10         2 openat
 33.33    0.000100          10        12           read
  0.00    0.000000           0         1           exit
  0.00    0.000000           0         1         1 restart_syscall
------ ----------- ----------- --------- --------- ----------------
100.00    0.000300                    24         2 total
"""


@pytest.fixture
def shell() -> Iterator["subprocess.Popen[str]"]:
    """A shell that does what it is told, line by line."""
    with subprocess.Popen(
        ["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_the_summary_is_read_with_and_without_errors() -> None:
    assert counts_in(SUMMARY) == {"openat": 10, "read": 12, "exit": 1}
    assert counts_in("") == {}
    assert counts_in("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted") == {}


def test_without_strace_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_calls, "PROGRAM", "no-such-strace")
    strace = Strace()
    strace.begin(os.getpid())
    calls = strace.end()
    assert calls.counts is None
    assert "not on this host" in calls.how


def test_an_instance_without_process_cannot_be_traced() -> None:
    strace = Strace()
    strace.begin(None)
    assert strace.end().counts is None
    assert strace.end().counts is None


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_process_that_is_gone_is_a_reason() -> None:
    strace = Strace()
    strace.begin(2**22 + 1)
    calls = strace.end()
    assert calls.counts is None
    assert "did not attach" in calls.how


@pytest.mark.skipif(
    not shutil.which("strace") or os.geteuid() != 0, reason="needs strace and the right to trace"
)
def test_what_a_process_and_its_children_call_is_counted(shell: "subprocess.Popen[str]") -> None:
    assert shell.stdin is not None
    assert shell.stdout is not None
    strace = Strace()
    strace.begin(shell.pid)
    shell.stdin.write("/bin/true; echo almost; echo done\n")
    shell.stdin.flush()
    assert [shell.stdout.readline(), shell.stdout.readline()] == ["almost\n", "done\n"]
    calls = strace.end()
    assert calls.counts is not None, calls.how
    assert calls.counts["execve"] == 1  # the child's
    assert calls.counts["write"] >= 1  # of the last one the end may not have been seen
    shell.stdin.write("echo on\n")  # it goes on untraced
    shell.stdin.flush()
    assert shell.stdout.readline() == "on\n"


def test_a_tracer_that_was_ended_does_not_begin() -> None:
    strace = Strace()
    strace.end()
    strace.begin(os.getpid())
    assert strace.end().counts is None
