"""The table, the figure and the sentences of how a rate grows with the number in flight."""

import math

import numpy as np
import pytest
from make_dataset import Design, Variant, write_dataset

from analysis import scaling
from analysis.dataset import open_dataset
from analysis.section import Figure
from analysis.tables import lifecycle
from analysis.words import records

LEVELS = (1, 2, 4, 8, 16, 32)


def docker(**params):
    return Variant("docker", 100, per_level=0.02, params=params)


def tables_of(folder, *designs):
    with open_dataset(write_dataset(folder, *designs)) as dataset:
        return {name: records(table) for name, table in lifecycle.table(dataset).items()}


def parts_of(folder, *designs):
    with open_dataset(write_dataset(folder, *designs)) as dataset:
        return lifecycle.section(dataset, lifecycle.table(dataset))


def law(row, n):
    return row["gamma"] * n / (1 + row["alpha"] * (n - 1) + row["beta"] * n * (n - 1))


def test_a_variant_that_was_measured_at_six_levels_has_a_curve_through_its_rates(tmp_path):
    tables = tables_of(tmp_path, Design((docker(),), concurrency=LEVELS, hosts=("h1", "h2")))
    (row,) = tables["scaling"]
    assert (row["variant"], row["levels"], row["largest"], row["blocks"]) == ("docker", 6, 32, 10)
    assert row["model"] in ("usl", "amdahl")
    rates = {r["conditions"]: r["rate_per_s"] for r in tables["outcomes"] if r["scope"] == "fleet"}
    for n in LEVELS:
        assert law(row, n) == pytest.approx(rates[f"concurrency {n}"], rel=0.35)


def test_one_table_row_for_each_variant_and_other_condition(tmp_path):
    variants = docker(), docker(residents=50), Variant("process", 10)
    rows = tables_of(tmp_path, Design(variants, concurrency=LEVELS))["scaling"]
    assert {(r["variant"], r["conditions"]) for r in rows} == {
        ("docker", "residents 0"),
        ("docker", "residents 50"),
        ("process", "residents 0"),
    }


def test_few_levels_have_no_fit_and_say_so(tmp_path):
    design = Design((docker(),), concurrency=(1, 8))
    (row,) = tables_of(tmp_path, design)["scaling"]
    assert (row["model"], row["gamma"]) == (None, None)
    assert row["why"] == "2 different numbers in flight; a fit needs 6"
    titles = [part.title for part in parts_of(tmp_path / "again", design).parts]
    assert "Rate against the number in flight" not in titles


def test_one_level_or_an_open_loop_has_nothing_to_fit(tmp_path):
    assert tables_of(tmp_path / "one", Design((docker(),)))["scaling"] == []
    open_loop = Design((docker(arrival_rate_per_s=2.0),), concurrency=LEVELS)
    assert tables_of(tmp_path / "open", open_loop)["scaling"] == []


def test_one_block_has_a_curve_without_intervals(tmp_path):
    (row,) = tables_of(tmp_path, Design((docker(),), concurrency=LEVELS, blocks=1))["scaling"]
    assert row["gamma"] is not None
    assert row["gamma_low"] is row["alpha_low"] is row["peak_n_low"] is None


def test_the_report_draws_points_and_curves_and_speaks_of_them(tmp_path):
    section = parts_of(tmp_path, Design((docker(), Variant("process", 10)), concurrency=LEVELS))
    (drawn,) = [p for p in section.parts if isinstance(p, Figure) and p.title.startswith("Rate against")]
    assert "docker at 1, 2, 4, 8, 16, 32:" in drawn.alternative
    assert "NaN" not in drawn.panels[0].svg
    assert any("rate of docker" in sentence for sentence in section.summary)
    (table,) = [p for p in section.parts if p.title == "How the rate grows with the number in flight"]
    assert not any("nan" in cell.lower() for row in table.rows for cell in row)


def fitted(**changes):
    """A row as the table has it, of a fit with a peak."""
    row = {"variant": "docker", "conditions": "same for all", "evidence": "valid", "model": "usl"}
    row |= {"peak_n": 21.6, "peak_n_low": 19.0, "peak_n_high": 24.0, "peak_rate": 74.0}
    return row | {"largest": 32.0, "reach": 64.0, "misfit": 0.02} | changes


def test_a_peak_is_said_with_its_interval_as_far_as_it_is_known():
    assert scaling.peak_words(fitted()) == "22\n19 to 24"
    assert scaling.peak_words(fitted(peak_n_high=math.inf)) == "22\n19 to > 64"
    assert scaling.peak_words(fitted(peak_n_low=None)) == "22"
    assert scaling.peak_words(fitted(peak_n=None)) == "n/a"


def test_sentences_say_where_the_rate_peaks_or_that_none_was_seen():
    said = scaling.sentences(
        [fitted(), fitted(peak_n=None), fitted(evidence="suspect"), fitted(misfit=0.2)]
    )
    assert said == [
        "By its curve, the rate of docker is largest at about 22 in flight: 74.0/s.",
        "The rate of docker shows no peak up to 32 in flight.",
    ]


def test_a_curve_is_drawn_no_farther_than_was_measured():
    points = scaling._curve(fitted(gamma=10.0, alpha=0.05, beta=0.002))
    assert (points[0]["x"], points[0]["y"], points[-1]["x"]) == (1, pytest.approx(10), 32)
    assert np.isfinite([p["y"] for p in points]).all()


def test_rates_that_the_curve_does_not_describe_are_said_to_be_such(tmp_path):
    """Eight served at once: the rate grows in proportion until there, and then not at all."""
    loads = [scaling.Load(np.array(LEVELS, dtype=float), np.minimum(LEVELS, 8.0))] * 3
    row = scaling._row(scaling.scaling_of(loads, np.random.default_rng(1)))
    assert row["misfit"] > scaling.MOST_MISFIT
    assert row["why"].startswith("the rates do not follow the curve")
    assert scaling.sentences([fitted() | row]) == []
