"""``tonnage watch`` as its user has it: on a terminal, in a pipe, interrupted."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving_rig import Rig

ROOT = Path(__file__).parents[3]
ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
COMMAND = (sys.executable, "-c", "from orchestrator.cli import main; main()", "watch")


def environment(**changes: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        clean.pop(name, None)
    return clean | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONUTF8": "1"} | changes


class Terminal:
    """What a process on a terminal of 80 by 24 has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", handle: int) -> None:
        self.process, self._handle, self.said = process, handle, b""

    def read_until(self, wanted: bytes) -> None:
        while wanted not in self.said:
            self.said += os.read(self._handle, 65536)  # at its end an OSError, which fails the test

    def end(self) -> int:
        """Read to the end; its exit code."""
        try:
            while data := os.read(self._handle, 65536):
                self.said += data
        except OSError:  # EIO: nobody has it open any more
            pass
        return self.process.wait(timeout=30)


@contextmanager
def terminal(folder: Path, **changes: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, str(folder)],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment(**changes), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        yield Terminal(process, ours)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 5), (signal.SIGTERM, 128 + 15)])
def test_whoever_ends_it_has_a_clean_terminal(rig: Rig, sign: signal.Signals, code: int) -> None:
    rig.put(0)
    with terminal(rig.results.folder) as shown:
        shown.read_until(b"1 of 8 trials measured, 12 %")
        assert ENTER in shown.said
        shown.process.send_signal(sign)
        assert shown.end() == code
        _, _, after = shown.said.rpartition(LEAVE)
        assert CURSOR in shown.said
        assert b"sample: 1 of 8 trials measured; 1 completed" in after
        assert b"Traceback" not in shown.said


def test_what_is_over_stays_on_the_terminal_and_its_end_is_told(rig: Rig) -> None:
    for place in range(8):
        rig.put(place, attempt=0 if place == 7 else 1, outcome="lost" if place == 7 else "completed")
    with terminal(rig.results.folder, NO_COLOR="1") as shown:
        assert shown.end() == 3
    _, _, after = shown.said.rpartition(LEAVE)
    assert b"7 completed, 1 lost" in after
    assert b"1 trial not measured, and no coordinator is at work" in after
    assert not any(b"\x1b[%dm" % colour in shown.said for colour in range(30, 50))


def test_a_pipe_and_a_dumb_terminal_get_lines(rig: Rig) -> None:
    for place in range(8):
        rig.put(place)
    said = b"sample: 8 of 8 trials measured; 8 completed; verdicts: 8 valid"
    ran = subprocess.run(
        [*COMMAND, str(rig.results.folder)], env=environment(), capture_output=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, said + b"\n", b"")
    with terminal(rig.results.folder, TERM="dumb") as shown:
        assert shown.end() == 0
    assert shown.said == said + b"\r\n"
