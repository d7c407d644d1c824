"""The tables of docs/performance.md, made of measured results."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from figure import Figure

BEGIN = "<!-- made by tests/bench/run.py --markdown: begin -->"
END = "<!-- end -->"


def row_of(stored: Mapping[str, Any]) -> Figure:
    """A figure as a file of results holds it."""
    return Figure(**{field.name: stored[field.name] for field in fields(Figure) if field.name in stored})


def in_page(page: str, results: Sequence[Mapping[str, Any]]) -> str:
    """The page with these tables between its two marks. Raises ValueError when a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{begin}\n\n{markdown(results)}{end}{after}"


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """A section per benchmark: what was measured on what, and a table of its figures."""
    return "\n".join(line for result in results for line in _section(result))


def _section(result: Mapping[str, Any]) -> list[str]:
    figures = [row_of(stored) for stored in result["figures"]]
    notes = [f"- {figure.case}: {figure.note}" for figure in figures if figure.note]
    return [
        f"## {result['benchmark']}",
        "",
        result["title"],
        "",
        _measured_on(result),
        "",
        "| what | measured | limit in the same run | ratio | budget |",
        "|---|---:|---|---:|---|",
        *map(_row, figures),
        "",
        *([*notes, ""] if notes else []),
    ]


def _measured_on(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"{machine['date']}, {machine['cpus']} processors, {machine['mem_gib']:g} GiB, "
        f"Linux {machine['kernel']}, Python {machine['python']}; "
        f"size {result['size']}, {result['seconds']:.0f} s in all."
    )


def _row(figure: Figure) -> str:
    limit = "" if figure.limit is None else f"{figure.limit:.4g} {figure.unit}: {figure.limit_is}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    kept = {None: "", True: ", kept", False: ", **not kept**"}[figure.keeps_budget]
    budget = "" if figure.budget is None else f"{figure.budget:g}{kept}"
    return f"| {figure.case} | {figure.value:.4g} {figure.unit} | {limit} | {ratio} | {budget} |"
