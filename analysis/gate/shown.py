"""A gate's outcome for people and scripts: rows, Markdown, JSON."""

from typing import Any

from analysis.gate.outcome import GateOutcome
from analysis.markdown import escaped, table_lines

COLUMNS = ("", "rule", "demand", "measured", "found", "why")
_SIGNS = {"pass": "✅", "fail": "❌", "undecided": "❔", "nothing matched": "❌"}


def rows_of(outcome: GateOutcome) -> list[tuple[str, ...]]:
    """One row per rule and cell, by ``COLUMNS``."""
    return [
        (cell.word, rule.title, rule.demand, cell.cell, cell.found, cell.why)
        for rule in outcome.rules
        for cell in rule.cells
    ]


def as_markdown(outcome: GateOutcome, dataset: str, baseline: str | None) -> str:
    """The outcome as a comment on a pull request."""
    against = f" against {escaped(baseline)}" if baseline else ""
    rows = [(f"{_SIGNS[row[0]]} {row[0]}", *row[1:]) for row in rows_of(outcome)]
    lines = [
        f"### {'✅' if outcome.passed else '❌'} {escaped(outcome.summary)}",
        "",
        f"Measured: {escaped(dataset)}{against}.",
        "",
        *table_lines(COLUMNS, rows),
        "",
        *(f"- {escaped(note)}" for note in outcome.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def as_document(outcome: GateOutcome, dataset: str, baseline: str | None) -> dict[str, Any]:
    """The outcome as one JSON document."""
    return {
        "gate": outcome.name,
        "dataset": dataset,
        "baseline": baseline,
        "passed": outcome.passed,
        "summary": outcome.summary,
        "undecided_counts_as": outcome.undecided,
        "rules": [
            {
                "name": rule.title,
                "demand": rule.demand,
                "outcome": rule.word,
                "cells": [
                    {"cell": c.cell, "outcome": c.word, "found": c.found, "why": c.why}
                    for c in rule.cells
                ],
            }
            for rule in outcome.rules
        ],
        "notes": list(outcome.notes),
    }
