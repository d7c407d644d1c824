"""Every command that a page shows is carried out, or says why it is not."""

from pathlib import Path

import engines
import pytest
from console import Marked, Session, first_missing, marked_blocks
from pages import PAGES, ROOT

SHOWN = {page: marked_blocks(page) for page in PAGES}
OWN_TESTS = {"import-export.md": "tests/test_import_export_page.py"}
"""Pages whose commands have a test of their own."""


def _needs_docker(page: Path) -> bool:
    return any(block.marks.get("needs") == "docker" for block in SHOWN[page])


RUN = [
    pytest.param(
        page, marks=[pytest.mark.docker] if _needs_docker(page) else [], id=str(page.relative_to(ROOT))
    )
    for page in PAGES
    if page.name not in OWN_TESTS and any(block.runs for block in SHOWN[page])
]
SHELL = [
    block
    for page in PAGES
    if page.name not in OWN_TESTS
    for block in SHOWN[page]
    if block.language in ("console", "bash")
]


@pytest.mark.timeout(300)  # a page is many commands, and their machine may be busy
@pytest.mark.parametrize("page", RUN)
def test_commands_of_a_page_do_what_it_says(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    variables = {}
    if _needs_docker(page):
        variables["TONNAGE_DOCKER_SOCKET"] = str(request.getfixturevalue("docker_engine").socket)
    with engines.short_folder() as run_dir:
        session = Session(tmp_path, run_dir, variables)
        for block in SHOWN[page]:
            session.take_file(block)
            if block.runs:
                session.carry_out(block)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_what_is_not_carried_out_says_why(block: Marked) -> None:
    told = f"{block}: make it a console block that runs, or write <!-- not run: REASON --> before it"
    assert block.runs or len(block.marks.get("not run", "")) > 5, told


@pytest.mark.parametrize("page", OWN_TESTS)
def test_pages_left_out_here_have_their_own_test(page: str) -> None:
    assert page.removesuffix(".md") in (ROOT / OWN_TESTS[page]).read_text()


@pytest.mark.parametrize(
    ("shown", "said", "missing"),
    [
        (["3 trials in 4.2 s"], ["12 trials in 1 min"], None),
        (["docker  ok"], ["process ok", "docker ok"], None),
        (["docker: …"], ["docker: anything at all"], None),
        (["a", "…", "c"], ["a", "b", "c"], None),
        (["b", "a"], ["a", "b"], "a"),
        (["3 trials"], ["3 trails"], "3 trials"),
        (["docker"], ["docker and more"], "docker"),
    ],
)
def test_outputs_are_compared_by_shape(shown: list[str], said: list[str], missing: str | None) -> None:
    assert first_missing(shown, said) == missing


def test_numbers_count_where_nothing_is_measured() -> None:
    assert first_missing(["3 cells"], ["4 cells"], exact=True) == "3 cells"
    assert first_missing(["3 cells …"], ["3 cells × 2 blocks"], exact=True) is None
