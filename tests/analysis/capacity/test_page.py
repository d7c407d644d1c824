"""The page on capacity and the sample demand say what the code does."""

from pathlib import Path

import pytest
from pages import ROOT, blocks, tables

from analysis.capacity.demand import (
    Demand,
    Domains,
    HostClassEntry,
    HostFailures,
    Images,
    Shape,
    Slo,
    load_demand,
)

PAGE = ROOT / "docs/capacity.md"
MODELS = {
    "The file": Demand,
    "A shape": Shape,
    "Objectives": Slo,
    "Failure domains": Domains,
    "Images": Images,
    "Host classes": HostClassEntry,
    "Failures of single hosts": HostFailures,
}


@pytest.mark.parametrize("heading", MODELS)
def test_every_key_is_explained(heading: str) -> None:
    keys = {row[0].strip("`") for row in tables(PAGE)[heading]}
    assert keys == set(MODELS[heading].model_fields)


def test_demands_of_the_pages_can_be_read(tmp_path: Path) -> None:
    found = [block for block in blocks("yaml") if "\nshapes:" in block.text]
    assert found
    for block in found:
        path = tmp_path / "demand.yaml"
        path.write_text(block.text)
        load_demand(path)


@pytest.mark.parametrize("path", sorted((ROOT / "deploy/demands").glob("*.yaml")), ids=lambda p: p.stem)
def test_sample_demands_can_be_read(path: Path) -> None:
    assert load_demand(path)[0].demand == path.stem
