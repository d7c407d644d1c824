"""More rows than are held at once: read trial by trial, and every number stays within its bound."""

import tracemalloc
from pathlib import Path

import pytest
from drawn_probes import MODELS, Design, write_probes

from analysis import distributions, portions
from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.isolation.answers import AllAnswers
from analysis.management.operations import AllOperations
from analysis.portions import Portions
from analysis.recovery.injections import AllInjections
from analysis.tables import table_modules
from analysis.words import records

BOUND = 0.0005 * 1.001
"""Half a bucket, and what floating point adds."""
ROWS, TRIALS = 3600, 12


@pytest.fixture(scope="module", params=sorted(MODELS))
def drawn(request, tmp_path_factory) -> tuple[str, Path]:
    design = Design(request.param, ROWS, hosts=2, blocks=3)
    return request.param, write_probes(tmp_path_factory.mktemp("probes") / "d", design)


def be_many(monkeypatch):
    """Every dataset has more rows than are held one by one, and trials are read two at a time."""
    monkeypatch.setattr(portions, "PORTION_ROWS", 2 * ROWS // TRIALS)
    monkeypatch.setattr(distributions, "EXACT_ROWS", 10)


def tables_of(experiment, folder):
    with open_dataset(folder, check_sums=False) as dataset:
        found = table_modules()[experiment].table(dataset)
    return {name: records(table) for name, table in found.items()}


OWN = {
    "isolation": ("degradation", "relief", "timeline"),
    "management": ("verbs", "operations"),
    "recovery": ("outcomes",),
}
"""Tables that are made of portions; the others are of ``analysis.distributions``."""
RATIOS = ("degradation", "tail_ratio")


def test_words_and_counts_are_the_same_and_times_within_the_bound(drawn, monkeypatch):
    exact = tables_of(*drawn)
    be_many(monkeypatch)
    rounded = tables_of(*drawn)
    compared = 0
    for name in OWN[drawn[0]]:
        for one, other in zip(exact[name], rounded[name], strict=True):
            for column, value in one.items():
                if isinstance(value, int | str | None):
                    assert other[column] == value, column
                elif "_low" in column or "_high" in column:
                    assert other[column] == pytest.approx(value, rel=0.01), column
                elif column in RATIOS or column.endswith("_ns"):
                    times = 2 if column in RATIOS else 1
                    assert other[column] == pytest.approx(value, rel=times * BOUND), column
                    compared += 1
    assert compared >= 20


@pytest.mark.parametrize("drawn", ["isolation"], indirect=True)
def test_a_portion_is_whole_trials_and_all_of_them_once(drawn, monkeypatch):
    be_many(monkeypatch)
    with open_dataset(drawn[1], check_sums=False) as dataset:
        cells = Cells(dataset, "isolation")
        found = Portions(
            cells,
            cells.table("timed"),
            "samples WHERE experiment = $experiment AND metric = 'isolation.latency'",
        )
        sql = """
            SELECT m.trial FROM samples s JOIN members m USING (trial_id)
            WHERE s.experiment = $experiment AND list_contains($hosts, s.host)
                AND s.metric = 'isolation.latency'
        """
        parts = [part["trial"] for part in found.read(sql)]
    assert len(parts) == TRIALS / 2
    seen = [set(part.tolist()) for part in parts]
    assert sum(map(len, seen)) == len(set.union(*seen)) == TRIALS
    assert sum(part.size for part in parts) == ROWS


READERS = {"isolation": AllAnswers, "management": AllOperations, "recovery": AllInjections}


def test_many_rows_take_a_part_of_the_memory_that_they_would_one_by_one(drawn, monkeypatch, tmp_path):
    """Python's share of it, that of numpy included; DuckDB has a limit of its own."""
    design = Design(drawn[0], 160_000, hosts=1, blocks=8, profiles=(("small", 1.0),))
    folder = write_probes(tmp_path / "d", design)
    exact = peak_bytes(drawn[0], folder)
    be_many(monkeypatch)
    assert peak_bytes(drawn[0], folder) < exact / 3


def peak_bytes(experiment, folder):
    with open_dataset(folder, check_sums=False) as dataset:
        cells = Cells(dataset, experiment)
        tracemalloc.start()
        try:
            READERS[experiment](cells)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
