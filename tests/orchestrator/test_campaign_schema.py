"""The schema for editors takes every campaign that can be planned, and complains of what cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pages import ROOT, blocks

from orchestrator.cli.campaign_schema import campaign_schema
from workers.discover import build_catalog

CATALOG = build_catalog()
SCHEMA = campaign_schema(CATALOG)
GOOD: dict[str, Any] = {
    "campaign": "c",
    "experiments": [
        {"experiment": "lifecycle", "drivers": ["docker"], "params": {"concurrency": [1, 4]}}
    ],
}


def complaints(campaign: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(campaign)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(SCHEMA)))


SAMPLES = [*(ROOT / "deploy/campaigns").glob("*.yaml"), ROOT / "docs/example/campaign.yaml"]


@pytest.mark.parametrize("path", sorted(SAMPLES), ids=lambda path: path.stem)
def test_samples_are_taken(path: Path) -> None:
    assert complaints(yaml.safe_load(path.read_text())) == []


def test_campaigns_of_the_pages_are_taken() -> None:
    plug_ins = ("own-driver", "own-experiment")  # their pages make what they name
    shown = [yaml.safe_load(block.text) for block in blocks("yaml") if block.page.stem not in plug_ins]
    campaigns = [content for content in shown if {"campaign", "experiments"} <= set(content)]
    assert len(campaigns) >= 2
    assert [found for campaign in campaigns for found in complaints(campaign)] == []


@pytest.mark.parametrize("experiment", CATALOG.experiments)
def test_examples_are_taken(experiment: str) -> None:
    assert complaints(yaml.safe_load(CATALOG.experiments[experiment].example)) == []


@pytest.mark.parametrize("hosts", ["all", ["h1"], {"labels": {"rack": "3"}}])
def test_all_forms_of_hosts_are_taken(hosts: object) -> None:
    assert complaints(GOOD | {"hosts": hosts}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"blokcs": 3},
        {"hosts": "some"},
        {"experiments": [{"experiment": "lifecycel", "drivers": ["docker"]}]},
        {"experiments": [{"experiment": "lifecycle", "drivers": ["docker"], "params": {"step": 3}}]},
        {
            "experiments": [
                {"experiment": "lifecycle", "drivers": ["docker"], "params": {"instances": 0}}
            ]
        },
        {"experiments": [{"experiment": "lifecycle", "drivers": []}]},
        {"profiles": {"p": {"driver": "docker", "runtme": "crun"}}},
        {"profiles": {"p": {"driver": "dokcer"}}},
    ],
    ids=str,
)
def test_mistakes_are_seen_while_they_are_typed(wrong: dict[str, Any]) -> None:
    assert complaints(GOOD | wrong)


def test_parameters_come_with_their_meaning() -> None:
    entry = SCHEMA["$defs"]["ExperimentEntry"]
    told = [
        then["then"]["properties"]["params"]["properties"]
        for then in entry["allOf"]
        if then["if"]["properties"]["experiment"]["const"] == "lifecycle"
    ]
    assert told[0]["instances"]["description"] == "measured instances per trial"
