"""The pages of the documentation, taken apart: prose, fenced blocks, commands, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    number: int
    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        """The name that the block's first line gives it, as ``# first.yaml`` does."""
        named = re.match(r"# ([\w-]+\.yaml)\n", self.text)
        return named[1] if named else None


@dataclass(frozen=True)
class Command:
    """One command in a block, and the output that the page shows."""

    page: str
    words: tuple[str, ...]
    shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(*languages: str) -> list[Block]:
    """All fenced blocks in these languages."""
    return [
        Block(page, number, language, text)
        for page in PAGES
        for number, (language, text) in enumerate(_FENCE.findall(page.read_text()))
        if language in languages
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    """Everything in backticks, outside fenced blocks."""
    return [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose(page))]


def tables(page: Path) -> dict[str, list[list[str]]]:
    """Rows of all tables under each heading, without their heads."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in prose(page).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|---"):
            found.setdefault(heading, []).append([])
        elif line.startswith("|"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.split("|")[1:-1]])
    heads = {name: [i - 1 for i, row in enumerate(rows) if not row] for name, rows in found.items()}
    return {
        name: [row for i, row in enumerate(rows) if row and i not in heads[name]]
        for name, rows in found.items()
    }


def commands() -> list[Command]:
    """Every command in the fenced blocks of all pages."""
    return [command for block in blocks("console", "bash") for command in _commands_of(block)]


def _commands_of(block: Block) -> Iterator[Command]:
    """In a console block, lines after a prompt are commands and the others output."""
    page = str(block.page.relative_to(ROOT))
    lines = block.text.replace("\\\n", " ").splitlines()
    for at, line in enumerate(lines):
        if block.language == "bash":
            yield from (Command(page, words) for words in split(line))
        elif line.startswith("$ "):
            shown = takewhile(lambda other: not other.startswith("$ "), lines[at + 1 :])
            yield from (Command(page, words, tuple(shown)) for words in split(line[2:]))


def split(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of one line of shell, without assignments before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if words:
                yield tuple(words)
            words = []
        elif words or not re.match(r"^\w+=", word):
            words.append(word)


def heading_slugs(page: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
