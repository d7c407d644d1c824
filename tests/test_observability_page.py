"""docs/observability.md against the code: metrics, events, and what a line has."""

from typing import get_args

from pages import ROOT, tables

from orchestrator import observer
from orchestrator.cli.schema_page import prometheus_page
from workers import events

PAGE = ROOT / "docs/observability.md"
BESIDE_NOTES = {"run_begun", "progress", "trial_received", "trial_lost", "run_ended"}
"""Events of a coordinator's log that its loop tells otherwise than as a note."""


def test_the_page_holds_the_generated_tables() -> None:
    told = "tonnage schema prometheus --markdown says something else"
    assert prometheus_page().strip() in PAGE.read_text(), told


def test_the_page_names_every_event() -> None:
    rows = [row for row in tables(PAGE)["Logs"] if len(row) == 4]
    named = {
        side: {row[0].strip("`") for row in rows if row[1] == side} for side in ("worker", "coordinator")
    }
    assert named["worker"] == set(get_args(events.Event))
    assert named["coordinator"] == {*get_args(observer.Event), *BESIDE_NOTES}
