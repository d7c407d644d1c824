import pytest
from make_together import MIB, Rollouts, rollouts
from make_trials import SECOND, Where, write_trials
from page import Page, check_page

from analysis.dataset import open_dataset
from analysis.report import write_report
from analysis.tables import rollout as module
from analysis.tables import table_modules
from analysis.words import records

HOSTS = ("h1", "h2", "h3")


def made(tmp_path, *truths):
    return write_trials(tmp_path / "d", *(rollouts(truth) for truth in truths))


def tables_of(tmp_path, *truths, **options):
    with open_dataset(made(tmp_path, *truths), **options) as dataset:
        return {name: records(table) for name, table in module.table(dataset).items()}


def section_of(tmp_path, *truths):
    with open_dataset(made(tmp_path, *truths)) as dataset:
        return module.section(dataset, module.table(dataset))


def where(**changes):
    return Where(**({"hosts": HOSTS} | changes))


def test_the_module_is_found_and_has_the_declared_columns(tmp_path):
    assert table_modules()["rollout"] is module
    with open_dataset(made(tmp_path, Rollouts())) as dataset:
        for name, table in module.table(dataset).items():
            assert [f.name for f in module.FIELDS[name]] == list(table.columns)


def test_first_and_last_host_bytes_and_throughput_are_those_of_the_truth(tmp_path):
    tables = tables_of(tmp_path, Rollouts(where(blocks=8), base_s=2.0, step_s=0.2))
    (row,) = tables["fleet"]
    assert (row["hosts"], row["blocks"], row["incomplete"], row["set_aside"]) == (3, 8, 0, 0)
    assert row["first_low_ns"] < 2.5 * SECOND < row["first_high_ns"]
    assert row["last_low_ns"] < 2.9 * SECOND < row["last_high_ns"]
    assert row["spread_ns"] == pytest.approx(0.4 * SECOND)
    assert row["pulled_low_ns"] < 2 * SECOND < row["pulled_high_ns"]
    assert row["bytes_wire"] == 300 * MIB
    assert row["bytes_per_s_low"] < 150 * MIB < row["bytes_per_s_high"]
    assert all(r["clock_error_ns"] == 30_000 for r in tables["rollouts"])


@pytest.mark.parametrize(("each_s", "word"), [(1.0, "bottleneck"), (0.0, "no bottleneck")])
def test_a_shared_limit_is_told_from_none(tmp_path, each_s, word):
    alone, all_three = (
        Rollouts(where(blocks=6, seed=n), fan_out=n, each_s=each_s, sigma=0.01) for n in (1, 3)
    )
    (row,) = tables_of(tmp_path, alone, all_three)["scaling"]
    assert (row["hosts"], row["against"], row["blocks"]) == (3, 1, 6)
    assert row["slowdown_low"] < 1 + 2 * each_s < row["slowdown_high"]
    assert row["verdict"] == word


def test_no_verdict_on_what_is_not_believed(tmp_path):
    truths = [Rollouts(where(blocks=6, verdict="suspect"), fan_out=n) for n in (1, 3)]
    (row,) = tables_of(tmp_path, *truths)["scaling"]
    assert row["verdict"] == "withheld"
    truths = [Rollouts(where(driver="simulated", blocks=6, virtual=True), fan_out=n) for n in (1, 3)]
    (row,) = tables_of(tmp_path, *truths)["scaling"]
    assert row["verdict"] == "withheld"


def test_a_rollout_without_its_last_host_has_no_last_time(tmp_path):
    tables = tables_of(tmp_path, Rollouts(where(blocks=4), unready=((2, "h2"),)))
    assert tables["fleet"][0]["incomplete"] == 1
    (odd,) = [r for r in tables["rollouts"] if r["block"] == 2]
    assert (odd["ready"], odd["hosts"], odd["last_ns"]) == (2, 3, None)
    assert odd["pulled_ns"] is not None
    assert [r["error_class"] for r in tables["reasons"]] == ["exited"]


def test_a_rollout_counts_only_with_all_of_its_hosts(tmp_path):
    whole = rollouts(Rollouts(where(blocks=4)))
    gone = [one for one in whole if (one.record.trial.host, one.record.trial.block) != ("h3", 1)]
    with open_dataset(write_trials(tmp_path / "d", gone)) as dataset:
        tables = {name: records(table) for name, table in module.table(dataset).items()}
        section = module.section(dataset, module.table(dataset))
    assert (tables["fleet"][0]["blocks"], tables["fleet"][0]["set_aside"]) == (3, 1)
    assert [r["block"] for r in tables["rollouts"] if not r["counted"]] == [1]
    assert any("count nowhere" in caveat for caveat in section.caveats)


CASES = {
    "plain": [Rollouts()],
    "one block": [Rollouts(where(blocks=1))],
    "one host": [Rollouts(Where(hosts=("h1",)))],
    "none ready": [Rollouts(where(blocks=1), unready=tuple((0, host) for host in HOSTS))],
    "failed": [Rollouts(where(outcome="failed", verdict="invalid"))],
    "suspect": [Rollouts(where(verdict="suspect", reasons=("host not quiet",)))],
    "simulated": [Rollouts(where(driver="simulated", virtual=True))],
    "scaling": [Rollouts(where(), fan_out=n) for n in (1, 2, 3)],
}


@pytest.mark.parametrize("case", CASES)
def test_the_report_is_written_whatever_was_measured(tmp_path, case):
    report = write_report(made(tmp_path, *CASES[case]), tmp_path / "report")
    check_page(Page(report.read_text()), tmp_path / "report")


def test_the_words_say_what_was_found(tmp_path):
    truths = [Rollouts(where(blocks=6), fan_out=n, each_s=1.0, sigma=0.01) for n in (1, 3)]
    said = " ".join(section_of(tmp_path, *truths).summary)
    assert "of 3 hosts with docker the first was ready after" in said
    assert "what they share holds them up" in said
