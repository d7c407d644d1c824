"""The dashboard and the rules of alarm: every metric and label in them is one that is shown."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.metric_names import COORDINATOR_METRICS, WORKER_METRICS

FOLDER = Path(__file__).parents[2] / "deploy/grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "tonnage.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text())
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus gives by itself."""
OF_OTHERS = {"up": OF_PROMETHEUS, "node_textfile_mtime_seconds": {"file", *OF_PROMETHEUS}}


def shown() -> dict[str, set[str]]:
    """Labels of every series."""
    found = dict(OF_OTHERS)
    for owner, metrics in (("host", WORKER_METRICS), ("campaign", COORDINATOR_METRICS)):
        for metric in metrics:
            labels = {owner, *metric.labels, *OF_PROMETHEUS}
            names = [metric.name]
            if metric.kind == "histogram":
                names = [f"{metric.name}_{end}" for end in ("bucket", "sum", "count")]
            found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    return found


SHOWN = shown()


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DASHBOARD["panels"]
    return found


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (variable["query"]["query"] for variable in variables("query"))
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def variables(kind: str) -> list[dict[str, Any]]:
    return [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == kind]


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(tonnage_\w+|up|node_\w+)\b", re.sub(r'"[^"]*"', "", expression)))


def labels_in(expression: str) -> set[str]:
    """Labels that are selected, grouped or joined by."""
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", expression)
    listed = re.findall(r"label_values\(\w+,\s*(\w+)\)", expression)
    return {*selected, *listed, *(word for group in grouped for word in re.findall(r"\w+", group))}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_what_is_shown(expression: str) -> None:
    names = names_in(expression)
    assert names
    assert names <= set(SHOWN)
    assert labels_in(expression) <= set.intersection(*(SHOWN[name] for name in names))
    assert all(name.endswith("_total") or "bucket" in name for name in counted(expression))


def counted(expression: str) -> set[str]:
    """What rises and increases are asked of: counters only."""
    return set(re.findall(r"\b(?:rate|increase)\((\w+)", expression))


def test_a_legend_names_labels_that_its_series_have() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            of_series = set.intersection(*(SHOWN[name] for name in names_in(target["expr"])))
            assert named <= of_series, panel["title"]


def test_every_metric_that_tells_of_trouble_has_an_alarm() -> None:
    asked = {
        name for group in ALERTS["groups"] for rule in group["rules"] for name in names_in(rule["expr"])
    }
    assert asked >= {
        "up",
        "tonnage_broker_up",
        "tonnage_heartbeat_age_seconds",
        "tonnage_campaign_hosts",
        "tonnage_spool_waiting_parts",
        "tonnage_messages_refused_total",
        "tonnage_clock_offset_seconds",
        "tonnage_campaign_trials_lost_total",
    }


def test_an_alarm_says_what_to_do_and_names_labels_that_exist() -> None:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert set(rule["annotations"]) == {"summary", "what_to_do"}
            named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert named <= set.union(*(SHOWN[name] for name in names_in(rule["expr"])))


def test_jobs_of_the_alarms_are_scraped() -> None:
    scraped = {
        job["job_name"]
        for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    }
    asked = set(re.findall(r'job="([\w-]+)"', (FOLDER / "alerts.yml").read_text()))
    assert asked
    assert asked <= scraped


def test_the_dashboard_has_an_id_and_takes_any_data_source() -> None:
    assert DASHBOARD["uid"] == "tonnage"
    assert DASHBOARD["schemaVersion"] >= 36
    assert [variable["query"] for variable in variables("datasource")] == ["prometheus"]
    for panel in panels():
        for asked in (panel, *panel.get("targets", ())):
            if panel["type"] != "row":
                assert asked["datasource"]["uid"] == "${datasource}"


def test_variables_that_are_used_are_defined() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels()))) - {"__rate_interval"}
    assert used <= defined


def test_panels_have_ids_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    places = [panel["gridPos"] for panel in panels()]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)


def test_targets_of_a_panel_have_letters_of_their_own() -> None:
    for panel in panels():
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
def test_prometheus_takes_its_files(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{n}", "expr": e} for n, e in enumerate(map(as_asked, panel_expressions()))
    ]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "p", "rules": rules}]}))
    checks = (["rules", str(FOLDER / "alerts.yml")], ["config", str(FOLDER / "prometheus.yml")])
    for check in (*checks, ["rules", str(tmp_path / "panels.yml")]):
        ran = subprocess.run(["promtool", "check", *check], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def as_asked(expression: str) -> str:
    """As Grafana would send it."""
    asked = expression.replace("$__rate_interval", "1m")
    return asked.replace("$campaign", ".*").replace("$host", ".*")
