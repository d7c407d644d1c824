"""The page on import and export is followed to the letter: its files, its commands, what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks, commands, tables

from orchestrator.importing.mapping import ColumnsMapping, FileEntry

PAGE = ROOT / "docs/import-export.md"
FILES = {b.file_name: b.text for b in blocks("yaml") if b.page == PAGE and b.file_name}
COMMANDS = [command for command in commands() if command.page == "docs/import-export.md"]

RUNNER = """
import shlex, sys
from orchestrator.cli import app
for line in sys.stdin:
    print(">>>", line.strip())
    app(shlex.split(line), standalone_mode=False)
"""
"""All commands in one process: each by itself would spend most of its time on being imported."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What every command of the page says, in a folder with the page's files."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / str(name)).write_text(text)
    for command in COMMANDS:
        if command.words[0] == "cat":
            (folder / command.words[1]).write_text("\n".join(command.shown) + "\n")
    lines = [" ".join(map(_quoted, c.words[1:])) for c in COMMANDS if c.words[0] == "tonnage"]
    ran = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input="\n".join(lines),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    told = re.split(r"^>>> (.*)\n", ran.stdout, flags=re.MULTILINE)
    return {line: text.splitlines() for line, text in zip(told[1::2], told[2::2], strict=True)}


def _quoted(word: str) -> str:
    return f"'{word}'"


def test_every_command_says_what_the_page_shows(said: dict[str, list[str]]) -> None:
    run = [command for command in COMMANDS if command.words[0] == "tonnage"]
    assert len(run) == len(said) >= 10
    for command, told in zip(run, said.values(), strict=True):
        assert all(line in told for line in command.shown), (command, told)


def test_every_kind_of_command_is_shown() -> None:
    words = {word for command in COMMANDS for word in command.words}
    assert {"columns", "hyperfine", "incus-benchmark", "--list", "--where"} <= words


def test_every_key_of_a_mapping_is_explained() -> None:
    keys = {row[0].strip("`") for row in tables(PAGE)["Columns"]}
    assert keys == set(ColumnsMapping.model_fields)
    text = PAGE.read_text()
    assert all(f"`{key}`" in text for key in FileEntry.model_fields)


def test_shipped_mappings_can_be_read() -> None:
    from orchestrator.importing.mapping import load_mapping

    shipped = sorted(Path(ROOT / "deploy/imports").glob("*.yaml"))
    assert shipped
    for path in shipped:
        load_mapping(path, ColumnsMapping)
