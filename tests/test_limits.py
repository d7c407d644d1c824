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


def scripts() -> list[Path]:
    return sorted(path for place in ("workers", "deploy") for path in (ROOT / place).rglob("*.sh"))


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function, *, signature: bool) -> int:
    """Lines from ``def`` (or from the body) to the end, decorators left out."""
    assert function.end_lineno is not None
    first = function.lineno if signature else function.body[0].lineno
    return function.end_lineno - first + 1


def parameters_of(function: Function) -> int:
    """What a caller may pass; ``self`` and ``cls`` pass themselves."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    return len(positional) + len(arguments.kwonlyargs)


def commands(tree: ast.AST) -> set[str]:
    """Names registered as ``app.command()(name)``: their parameters are options, one line each."""
    return {
        argument.id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Call)
        if ast.unparse(call.func.func).endswith(".command")
        for argument in call.args
        if isinstance(argument, ast.Name)
    }


def test_there_is_something_to_measure() -> None:
    assert len(sources()) > 20


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    problems = []
    if (lines := len(text.splitlines())) > MAX_FILE_LINES:
        problems.append(f"{lines} lines in the file, {MAX_FILE_LINES} allowed")
    for function in functions(tree):
        where = f"{function.name}, line {function.lineno}"
        typed = function.name in commands(tree)
        if (lines := lines_of(function, signature=not typed)) > MAX_FUNCTION_LINES:
            problems.append(f"{where}: {lines} lines, {MAX_FUNCTION_LINES} allowed")
        if (count := parameters_of(function)) > MAX_PARAMETERS and not typed:
            problems.append(f"{where}: {count} parameters, {MAX_PARAMETERS} allowed")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_script_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
