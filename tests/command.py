"""The command line in this process: for what a command does, not for how its process starts and ends."""

import contextlib
import io
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from orchestrator.cli import main


def tonnage(*arguments: str, cwd: Path) -> "CompletedProcess[str]":
    """Run a command as its entry point does, in a folder, without what the environment tells Tonnage."""
    said, complained = io.StringIO(), io.StringIO()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["tonnage", *arguments]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int), code
    return CompletedProcess(arguments, code, said.getvalue(), complained.getvalue())
