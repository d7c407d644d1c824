"""The benchmark of isolation, management and recovery: datasets, both ways, how figures are reckoned."""

import pytest
from drawn_probes import MODELS, Design, write_probes
from speed import probes

from analysis.dataset import open_dataset


@pytest.mark.parametrize("experiment", sorted(MODELS))
def test_both_ways_go_over_what_is_drawn(experiment, tmp_path):
    folder = write_probes(tmp_path / "d", Design(experiment, 300, hosts=2, blocks=3))
    with open_dataset(folder) as dataset:
        tables = probes.table_modules()[experiment].table(dataset)
    said = [variant for table in tables.values() if "variant" in table for variant in table["variant"]]
    assert set(said) == {"docker/small", "docker/large"}
    probes.bare(folder, experiment)


def test_what_is_scanned_is_what_is_drawn(tmp_path):
    for experiment, scans in probes.SCANS.items():
        folder = write_probes(tmp_path / experiment, Design(experiment, 300, hosts=1, blocks=1))
        with open_dataset(folder) as dataset:
            for table, value, where in scans:
                found = dataset.rows(f"SELECT count({value}) AS n FROM {table} WHERE {where}")
                assert found[0]["n"] > 0, (table, value, where)


def test_the_tables_stand_beside_the_scans_and_their_memory_beside_its_bound():
    said = {
        way: [{"seconds": s, "cpu_s": 2 * s, "peak_mib": 100 * s} for s in seconds]
        for way, seconds in (("ours", (3.0, 5.0)), ("bare", (1.0, 3.0)))
    }
    took, used, peak = probes._figures("tables", said)
    assert (took.value, took.ratio, used.ratio, peak.value) == (4.0, 2.0, 2.0, 500.0)
    assert (took.keeps_budget, peak.keeps_budget) == (None, True)
