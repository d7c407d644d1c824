"""overhead: what commands report and what work takes, found again on simulated instances."""

import pytest
from simulated_campaign import run_simulated

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.metrics import overhead as metrics
from analysis.tables import overhead as module
from analysis.words import records

TRUTH = {
    "driver": "simulated",
    "work_ms": 20,
    "work_sigma": 0.05,
    "reply_ms": 4,
    "sigma": 0.02,
    "block_sigma": 0.1,
}
COMMAND = {"work": "command", "pattern": "(x)", "unit": "events/s", "repeats": 12, "warm_ups": 1}
CAMPAIGN = {
    "campaign": "commands",
    "blocks": 8,
    "profiles": {
        "base": TRUTH | {"reported": 1000},
        "half": TRUTH | {"reported": 500, "work_factor": 3},
    },
    "experiments": [
        {
            "experiment": "overhead",
            "drivers": ["base", "half"],
            "params": COMMAND | {"name": "one", "command": "one --long", "better": "higher"},
        },
        {
            "experiment": "overhead",
            "drivers": ["base", "half"],
            "params": COMMAND | {"name": "two", "command": "two --long", "better": "lower"},
        },
        {
            "experiment": "overhead",
            "drivers": ["base", "half"],
            "params": {"work": ["fsync", "cpu"], "repeats": 12},
        },
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A campaign on simulated engines, measured and reported."""
    return run_simulated(tmp_path_factory.mktemp("overhead"), CAMPAIGN)


@pytest.fixture(scope="module")
def tables(results):
    with open_dataset(results / "dataset") as dataset:
        found = module.table(dataset)
    for name, table in found.items():
        assert [f.name for f in module.FIELDS[name]] == list(table.columns)
    return {name: records(table) for name, table in found.items()}


def pair(rows, what):
    return next(row for row in rows if what in row["conditions"])


def test_commands_are_known_by_their_names(tables):
    said = {row["conditions"] for row in tables["reported"]}
    assert len(said) == 2
    assert all("--long" not in one and "(x)" not in one for one in said), said


def test_what_was_reported_is_found_again(tables):
    rows = {
        (row["variant"], row["conditions"]): row for row in tables["reported"] if row["scope"] == "fleet"
    }
    assert len(rows) == 4
    for (variant, _), row in rows.items():
        truth = 1000 if "base" in variant else 500
        assert row["median_low"] <= row["median"] <= row["median_high"]
        assert row["median"] == pytest.approx(truth, rel=0.03)
        assert (row["unit"], row["n"]) == ("events/s", 96)


@pytest.mark.parametrize(("name", "word"), [("one", "worse"), ("two", "better")])
def test_half_as_much_is_worse_or_better_as_the_campaign_says(tables, name, word):
    row = pair(tables["reported_pairs"], f"name {name}")
    assert row["ratio_low"] <= 0.5 <= row["ratio_high"]
    assert row["verdict"] == word


def test_program_starts_are_taken_off(tables):
    access = [r for r in tables["latency"] if r["metric"] == "access" and r["scope"] == "fleet"]
    work = [r for r in tables["latency"] if r["metric"] == "work" and r["scope"] == "fleet"]
    assert {r["conditions"] for r in access} == {
        r["conditions"] for r in work if "fsync" in r["conditions"]
    }
    for row in access:
        whole = next(
            r for r in work if (r["variant"], r["conditions"]) == (row["variant"], row["conditions"])
        )
        assert whole["p50_ns"] - row["p50_ns"] == pytest.approx(4e6, rel=0.25)
    pairs = [r for r in tables["comparison"] if r["metric"] == "access"]
    assert len(pairs) == 1
    assert pairs[0]["ratio"] == pytest.approx((60 - 4) / (20 - 4), rel=0.1)


def test_the_report_says_it_in_words(results):
    with open_dataset(results / "dataset") as dataset:
        section = module.section(dataset, module.table(dataset))
    text = " ".join(section.summary)
    assert "Reported under" in text
    assert "name one" in text
    assert {"What commands reported", "What commands reported, compared"} <= {
        p.title for p in section.parts
    }


def test_each_way_has_its_metric(results):
    with open_dataset(results / "dataset") as dataset:
        cells = Cells(dataset, "overhead")
        found = {m.metric.title: m for m in metrics.measures(cells)}
        for name, better in (("one", "higher"), ("two", "lower")):
            mine = [cell for cell in cells.cells if cell.conditions.get("name") == name]
            for cell in mine:
                measured = found[f"reported_{better}"].of(cell)
                assert measured is not None
                assert len(measured.blocks.keys) == 8
                other = "lower" if better == "higher" else "higher"
                assert found[f"reported_{other}"].of(cell) is None
