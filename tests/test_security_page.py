"""The page about threats names tests, and they are there."""

import re
from pathlib import Path

from fuzz_targets import targets

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text()
DEFENCES = re.findall(r"^\| .+ \| .+ \| `(test_\w+)` \|$", PAGE, re.MULTILINE)


def test_every_defence_has_a_test_that_is_there() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(DEFENCES) > 40
    for name in DEFENCES:
        assert f"def {name}(" in written, name


def test_no_row_of_a_threat_is_without_a_test() -> None:
    section = PAGE.split("## Threats and defences")[1].split("## What is not defended")[0]
    rows = [line for line in section.splitlines() if re.match(r"\| (?!threat )", line)]
    assert len(rows) == len(DEFENCES)


def test_the_number_of_fuzzed_kinds_is_that_of_the_code() -> None:
    assert f"of {len(targets())} kinds" in PAGE.replace("each of ", "of ")
