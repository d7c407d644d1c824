"""What others say reaches the terminal as text, whichever command shows it."""

import io

import pytest
from rich.console import Console

import orchestrator.cli
from contract.errors import CampaignError
from orchestrator.cli.outputs import put_text, say
from orchestrator.cli.progress import PlainProgress
from orchestrator.cli.tabulate import tabulate

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J\\u202e\\x9b31m"


def test_lines_and_texts(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    say(EVIL, err=True)
    put_text("-", EVIL)
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{SHOWN}\n{SHOWN}\n", f"{SHOWN}\n")


def test_tables_keep_a_row_a_line() -> None:
    assert list(tabulate([("A", "B"), (EVIL, "x\ny")])) == [
        f"A{' ' * (len(SHOWN) + 1)}B",
        f"{SHOWN}  x y",
    ]


def test_notes_of_a_campaign() -> None:
    console = Console(file=io.StringIO(), width=200)
    PlainProgress(console, "c").note(EVIL)
    assert console.file.getvalue() == f"c: {SHOWN}\n"  # type: ignore[attr-defined]


def test_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise CampaignError(EVIL)

    monkeypatch.setattr(orchestrator.cli, "app", fail)
    with pytest.raises(SystemExit):
        orchestrator.cli.main()
    assert capsys.readouterr().err == f"tonnage: {SHOWN}\n"
