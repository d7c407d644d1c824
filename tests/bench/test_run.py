"""The frame of the benchmarks: what a ratio is, what a file of results keeps, what the page shows."""

import json
from pathlib import Path

import pytest
import run
from figure import Figure, Size
from interleaved import in_turn, medians
from performance_page import markdown

LESS = Figure("time", 2.0, "s", 1.0, "bare loop", budget=1.5)
MORE = Figure("rate", 500, "1/s", 1000, "bare loop", budget=2.5, higher_is_better=True)


def result(name: str, *figures: Figure, **more: object) -> dict[str, object]:
    machine = {"cpus": 2, "mem_gib": 24, "kernel": "6.1", "python": "3.11.2", "date": "2026-11-25"}
    made = {"benchmark": name, "title": "What.", "size": "full", "machine": machine, "seconds": 3.0}
    return {**made, "figures": [vars(figure) for figure in figures], **more}


@pytest.mark.parametrize(("figure", "ratio", "is_kept"), [(LESS, 2.0, False), (MORE, 2.0, True)])
def test_a_ratio_says_how_many_times_the_limit_is_needed(
    figure: Figure, ratio: float, is_kept: bool
) -> None:
    assert figure.ratio == ratio
    assert figure.keeps_budget is is_kept


def test_without_a_limit_the_budget_is_about_the_value() -> None:
    assert Figure("page", 2.0, "MiB", budget=3).keeps_budget
    assert not Figure("rate", 2.0, "1/s", budget=3, higher_is_better=True).keeps_budget
    assert Figure("page", 2.0, "MiB").keeps_budget is None


def test_a_ratio_that_cannot_be_had_keeps_no_budget() -> None:
    nothing = Figure("rate", 0.0, "1/s", 10.0, "bare loop", budget=2, higher_is_better=True)
    assert nothing.ratio is None
    assert nothing.keeps_budget is False


def test_every_way_is_called_once_a_round_and_once_before() -> None:
    calls: list[str] = []

    def way(name: str) -> float:
        calls.append(name)
        return float(calls.count(name))

    found = in_turn(5, {"ours": lambda: way("ours"), "bare": lambda: way("bare")})
    assert found == {"ours": [2, 3, 4, 5, 6], "bare": [2, 3, 4, 5, 6]}
    assert medians(found) == {"ours": 4, "bare": 4}
    assert all({*calls[i : i + 2]} == {"ours", "bare"} for i in range(0, 12, 2))


def test_a_file_of_results_keeps_those_of_other_benchmarks(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    run.keep(path, [result("a", LESS), result("b", LESS)])
    run.keep(path, [result("b", MORE)])
    stored = json.loads(path.read_text())
    assert [(r["benchmark"], r["figures"][0]["case"]) for r in stored] == [("a", "time"), ("b", "rate")]


def test_what_was_measured_before_is_set_beside_what_is_now() -> None:
    slower = Figure("time", 3.0, "s", 1.0, "bare loop")
    [line] = run.compared([result("a", slower, MORE)], [result("a", LESS)])
    assert line == "a, time: ratio 2.00 before, 3.00 now"


def test_the_page_says_what_was_not_kept() -> None:
    page = markdown([result("a", LESS, MORE, Figure("size", 1.5, "MiB", note="with plots"))])
    assert "| time | 2 s | 1 s: bare loop | 2.00 | 1.5, **not kept** |" in page
    assert "| rate | 500 1/s | 1000 1/s: bare loop | 2.00 | 2.5, kept |" in page
    assert "- size: with plots" in page


def test_every_benchmark_has_a_title_and_a_measure() -> None:
    for name in run.names():
        module = run.module_of(name)
        assert (module.__doc__ or "").strip()
        assert set(module.NEEDS) <= {"redis", "docker", "libvirt"}
        assert callable(module.measure)


def test_a_benchmark_that_breaks_off_is_told_and_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        """It breaks."""

        NEEDS = ()

        @staticmethod
        def measure(size: Size):
            yield LESS
            raise OSError("no engine")

    monkeypatch.setattr(run, "module_of", lambda _: Broken)
    found = run.measure("broken", Size.SMOKE)
    assert found["error"] == "OSError: no engine"
    assert len(found["figures"]) == 1
    assert "2.00 times bare loop (budget 1.5) NOT KEPT" in capsys.readouterr().out


def test_the_page_of_performance_shows_what_was_stored() -> None:
    docs = run.ROOT / "docs"
    page = (docs / "performance.md").read_text()
    assert run.in_page(page, json.loads((docs / "performance.json").read_text())) == page
