"""A switch that brings a lost host back, held by a process of its own: the worker may be lost with it.

``python -m workers.dead_man LIMIT_S COMMAND …`` waits until its standard input ends (the worker has let
go of the switch, or is dead) or the limit has passed; then it runs the command, again when that fails.
"""

import select
import subprocess
import sys
import time
from collections.abc import Sequence

from contract.errors import EngineError

COMMAND_DEADLINE_S = 60.0
_TRIES = 3
_PAUSE_S = 1.0


class Switch:
    """Held by the worker from before the loss until the host may come back. Its methods block."""

    def __init__(self, command: Sequence[str], limit_s: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own words, no shell reads them
            [sys.executable, "-m", "workers.dead_man", str(limit_s), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def let_go(self) -> None:
        """Bring the host back now. Raises EngineError when the command does not manage to."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(_TRIES * (COMMAND_DEADLINE_S + _PAUSE_S))
        except subprocess.TimeoutExpired as error:
            raise EngineError("the command that brings this host back does not end") from error
        if code:
            raise EngineError(f"the command that brings this host back failed {_TRIES} times")


def run_command(command: Sequence[str], what: str) -> None:
    """Run one of the operator's commands to its end. Raises EngineError with its last words."""
    try:
        ran = subprocess.run(  # noqa: S603 - the operator's own words, no shell reads them
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{what} cannot be run: {error}") from error
    if ran.returncode:
        said = (ran.stderr or ran.stdout).decode(errors="replace").strip()[-500:]
        raise EngineError(f"{what} failed with {ran.returncode}: {said or 'it said nothing'}")


def main(limit_s: float, command: Sequence[str]) -> int:
    """Wait, then bring the host back. Returns an exit code."""
    select.select([sys.stdin], [], [], limit_s)
    for _ in range(_TRIES):
        try:
            run_command(command, command[0])
        except EngineError:
            time.sleep(_PAUSE_S)
        else:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
