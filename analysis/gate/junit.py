"""A gate's outcome as JUnit XML, which every system of continuous integration shows."""

import re
from xml.etree import ElementTree as ET

from analysis.gate.outcome import CellOutcome, GateOutcome, RuleOutcome

_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(outcome: GateOutcome) -> str:
    """One test case per rule and cell.

    What failed, and what is undecided unless that may pass, is a ``failure``; a rule that matched
    nothing is an ``error``; what is undecided and may pass is ``skipped``.
    """
    suite = ET.Element("testsuite", {"name": _clean(outcome.name)})
    counts = dict.fromkeys(("failure", "error", "skipped"), 0)
    for rule in outcome.rules:
        for cell in rule.cells:
            kind = _add_case(suite, outcome, rule, cell)
            if kind:
                counts[kind] += 1
    totals = {
        "tests": str(len(suite)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "time": "0",
    }
    suite.attrib |= totals | {"skipped": str(counts["skipped"])}
    suites = ET.Element("testsuites", {"name": f"tonnage gate {_clean(outcome.name)}"} | totals)
    suites.append(suite)
    ET.indent(suites)
    body = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_case(
    suite: ET.Element, outcome: GateOutcome, rule: RuleOutcome, cell: CellOutcome
) -> str | None:
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": f"gate.{_clean(outcome.name)}",
            "name": _clean(f"{rule.title}: {cell.cell}"),
            "time": "0",
        },
    )
    message = f"{rule.demand}; found {cell.found}: {cell.why}"
    kind = _kind(outcome, cell)
    if kind is None:
        ET.SubElement(case, "system-out").text = _clean(message)
        return None
    attributes = {"message": _clean(message)} | ({} if kind == "skipped" else {"type": cell.word})
    ET.SubElement(case, kind, attributes).text = _clean(message)
    return kind


def _kind(outcome: GateOutcome, cell: CellOutcome) -> str | None:
    if cell.word == "pass":
        return None
    if cell.word == "nothing matched":
        return "error"
    return "skipped" if outcome.holds(cell.word) else "failure"


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
