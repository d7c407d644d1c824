"""Sizes that keep one file one job. Ruff counts statements and branches; lines are counted here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("contract", "workers", "orchestrator", "analysis")
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> int:
    """Lines from ``def`` to the end, decorators left out."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def parameters_of(function: Function) -> int:
    """What a caller may pass; ``self`` and ``cls`` pass themselves."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    return len(positional) + len(arguments.kwonlyargs)


def is_command(function: Function) -> bool:
    """A command of the CLI: its parameters are options, and read by people who type."""
    names = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}
    return any(name.rpartition(".")[2] in {"command", "callback"} for name in names)


def test_there_is_something_to_measure() -> None:
    assert len(sources()) > 20


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_small(path: Path) -> None:
    text = path.read_text()
    too_big = [f"{len(text.splitlines())} lines in the file, {MAX_FILE_LINES} allowed"]
    problems = too_big if len(text.splitlines()) > MAX_FILE_LINES else []
    for function in functions(ast.parse(text)):
        where = f"{function.name}, line {function.lineno}"
        if (lines := lines_of(function)) > MAX_FUNCTION_LINES:
            problems.append(f"{where}: {lines} lines, {MAX_FUNCTION_LINES} allowed")
        if (count := parameters_of(function)) > MAX_PARAMETERS and not is_command(function):
            problems.append(f"{where}: {count} parameters, {MAX_PARAMETERS} allowed")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda path: path.name)
def test_script_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
