"""The ``console`` blocks of a page as one session, run in order in a scratch folder.

A comment before a block says how it is meant::

    <!-- not run: needs a fleet -->      only parsed, for this reason
    <!-- ends with 4 -->                 its last command has this exit code
    <!-- needs docker -->                runs on a private Docker engine

Outputs are compared by shape: numbers that a page shows stand for numbers, and ``…`` for anything,
within a line or for lines in between.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from pages import ROOT

from orchestrator.cli import main

TIMEOUT_S = 90
_BLOCK = re.compile(
    r"(?P<marks>(?:^<!--[^\n]*-->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_MARK = re.compile(r"<!-- (not run|ends with|needs):? (.+?) -->")
_SAME_EVERYWHERE = ("tonnage validate", "tonnage plan", "tonnage schema")
"""Commands that measure nothing: their numbers are compared, too."""
_SHELL = re.compile(r"[|&;<>$`*]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Marked:
    """A fenced block with what the comments before it say."""

    page: Path
    number: int
    language: str
    text: str
    marks: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}-{self.number}"

    @property
    def runs(self) -> bool:
        """Whether it is carried out."""
        return self.language == "console" and "not run" not in self.marks

    def steps(self) -> Iterator[tuple[str, list[str]]]:
        """Each command with the lines that the page shows below it."""
        command, shown = "", list[str]()
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            else:
                shown.append(line)
        if command:
            yield command, shown


def marked_blocks(page: Path) -> list[Marked]:
    """All fenced blocks of a page."""
    return [
        Marked(page, number, found["language"], found["text"], dict(_MARK.findall(found["marks"])))
        for number, found in enumerate(_BLOCK.finditer(page.read_text()))
    ]


class Session:
    """A scratch folder in which commands find what a checkout has, and files that the page shows."""

    def __init__(self, folder: Path, run_dir: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        tonnage = folder / "bin/tonnage"
        tonnage.write_text(f"#!{sys.executable}\nfrom orchestrator.cli import main\nmain()\n")
        tonnage.chmod(0o755)
        for name in ("deploy", "docs"):
            (folder / name).symlink_to(ROOT / name)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TONNAGE_")}
        self._environment = clean | {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TONNAGE_STATE_DIR": str(folder / "state"),
            "TONNAGE_RUN_DIR": str(run_dir),
            "COLUMNS": "200",
            **variables,
        }

    def take_file(self, block: Marked) -> None:
        """A block whose first line names it is a file of that name."""
        named = re.match(r"# ([\w.-]+)\n", block.text)
        if named and block.language in ("yaml", "sh", "csv", "json"):
            (self._folder / named[1]).write_text(block.text)

    def carry_out(self, block: Marked) -> None:
        """Run every command. Raises AssertionError for a wrong exit code or another output."""
        steps = list(block.steps())
        for at, (command, shown) in enumerate(steps):
            expected = int(block.marks.get("ends with", 0)) if at == len(steps) - 1 else 0
            code, said = self._run(command)
            assert code == expected, f"$ {command}\nexit code {code}\n{said}"
            exact = command.startswith(_SAME_EVERYWHERE)
            missing = first_missing(shown, said.splitlines(), exact=exact)
            assert missing is None, f"$ {command}\nthe page shows {missing!r}, but it says\n{said}"

    def _run(self, command: str) -> tuple[int, str]:
        """Exit code and all that was said. Ours need no process, which saves their imports."""
        if command.startswith("tonnage ") and not _SHELL.search(command):
            return self._run_here(shlex.split(command))
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return ran.returncode, ran.stdout + ran.stderr

    def _run_here(self, words: list[str]) -> tuple[int, str]:
        said, errors, code = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ, self._environment, clear=True),
            patch.object(sys, "argv", words),
            contextlib.chdir(self._folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(errors),
        ):
            try:
                main()
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else 1
        return code, said.getvalue() + errors.getvalue()


def first_missing(shown: list[str], said: list[str], *, exact: bool = False) -> str | None:
    """The first line that a page shows and a command does not say in that order; None: all are there."""
    shape = _words if exact else _shape
    rest = iter([shape(line) for line in said])
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in shape(line).split("…")))
        if not any(pattern.fullmatch(found) for found in rest):
            return line
    return None


def _words(line: str) -> str:
    """Spaces that only align are one."""
    return " ".join(line.split())


def _shape(line: str) -> str:
    """Numbers are all alike, and so are units that go with their size."""
    plain = _NUMBER.sub("0", _words(line))
    return re.sub(r"\b0 ?(?:ns|µs|ms|s|min|h|B|KiB|MiB|GiB)\b", "0 U", plain)
