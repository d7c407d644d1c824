"""What pictures draw and say of what was observed."""

import re
from typing import Any

import numpy as np
import pytest
from trials import make_record, make_trial

from analysis.section import Figure, ShownTable
from orchestrator.cli.serving import pictures
from orchestrator.cli.serving.glimpses.base import Sight, View
from orchestrator.cli.serving.observed import Observed
from orchestrator.cli.serving.pictures import Gallery, Picture, gallery

MS = 1e6
CURVE = View("Times", "curve", "time", caption="From here to there.", of="injections", done="back")
CLIMB = View("Climb", "climb", "memory", unit="bytes", order=("second", "first"))
DOTS = View("Dots", "dots", "time", to_baseline=True)
VERBS = View("Verbs", "dots", "time", named_by=("verb",), order=("pause", "exec"))
TABLE = View("Facts", "table", "counted", unit="count")
LAST = View("Last", "dots", "time", whole=True)


def seen(view: View, *given: tuple[Any, ...]) -> Observed:
    """Trials of ``driver``, with params, each with one sight of values."""
    found = Observed()
    for driver, params, values, *rest in given:
        trial = make_trial(driver=driver, profile=driver, params=params)
        record = make_record(trial, virtual=False)
        sight = Sight(view, np.array(values, dtype=np.float64), **(rest[0] if rest else {}))
        found.take(record, [sight])
    return found


def draw(found: Observed, rests: list[float] | None = None) -> Gallery:
    return gallery("lifecycle", found, ["process", "docker"], ["a note"], (rests or []).append)


def only(found: Observed) -> Picture:
    (one,) = draw(found).pictures
    return one


def figure(found: Observed) -> Figure:
    one = only(found)
    assert isinstance(one, Figure)
    return one


def test_a_curve_says_what_never_came_also_where_nothing_did() -> None:
    one = figure(
        seen(
            CURVE,
            ("docker", {"fault": "kill"}, [10 * MS, 20.5 * MS, np.inf]),
            ("docker", {"fault": "hang"}, [np.inf, np.inf]),
        )
    )
    assert [panel.title for panel in one.panels] == ["fault hang", "fault kill"]
    assert one.caption == (
        "From here to there. Never back: docker, fault hang: 2 of 2; docker, fault kill: 1 of 3."
    )
    assert "docker, fault kill: half back within 20.5 ms, 1 of 3 injections never" in one.alternative
    assert "docker, fault hang: 2 of 2 injections never" in one.alternative
    assert "share of injections" in one.panels[0].svg


def test_without_anything_that_came_there_is_no_picture() -> None:
    made = draw(seen(CURVE, ("docker", {}, [np.inf])))
    assert made.pictures == ()
    assert made.rests_on == "From 1 trial, all hosts together; a note."


def test_conditions_beyond_the_panels_are_counted() -> None:
    some = [("docker", {"concurrency": n}, [n * MS]) for n in (16, 1, 8, 4, 2, 32)]
    one = figure(seen(CURVE, *some))
    assert [panel.title for panel in one.panels] == [f"concurrency {n}" for n in (1, 2, 4, 8)]
    assert "2 more conditions in the report." in one.caption


def test_dots_are_multiples_of_the_bare_process_where_there_is_one() -> None:
    work = [
        ("process", {"work": "cpu"}, [10 * MS]),
        ("docker", {"work": "cpu"}, [15 * MS]),
        ("docker", {"work": "fork"}, [70 * MS]),
    ]
    one = figure(seen(DOTS, *work))
    assert "times the bare process's median" in one.panels[0].svg
    assert "docker, work cpu: 1.5" in one.alternative
    assert "70" not in one.alternative
    assert "Not drawn, for want of a bare process beside them: 1." in one.caption
    for apart in (work[1:], [work[0], work[2]]):
        assert "docker, work fork: 70.0 ms" in figure(seen(DOTS, *apart)).alternative


def test_what_is_simulated_is_no_multiple_of_what_is_real() -> None:
    found = seen(DOTS, ("process", {}, [10 * MS]), ("docker", {}, [15 * MS]))
    record = make_record(make_trial(driver="crun", params={}), virtual=True)
    found.take(record, [Sight(DOTS, np.array([20 * MS]))])
    one = figure(found)
    assert "docker: 1.5" in one.alternative
    assert "crun" not in one.alternative
    assert found.unreal == "time was simulated, so nothing is real, of crun (simulated)"


def test_dots_whose_median_never_came_are_missing_and_counted() -> None:
    one = figure(seen(DOTS, ("docker", {}, [MS, 2 * MS, np.inf]), ("crun", {}, [MS, np.inf, np.inf])))
    assert "crun" not in one.alternative
    assert "3 of 6 never came." in one.caption


def test_names_come_in_their_order_and_say_their_parameter() -> None:
    one = figure(
        seen(
            VERBS,
            ("docker", {"verb": "exec"}, [MS], {"name": "exec"}),
            ("docker", {"verb": "pause"}, [2 * MS], {"name": "pause"}),
        )
    )
    assert len(one.panels) == 1
    assert re.findall(r">(pause|exec)<", one.panels[0].svg) == ["pause", "exec"]


def test_many_lines_are_cut_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_LINES", 2)
    one = figure(seen(VERBS, *[("docker", {}, [MS], {"name": f"verb{n}"}) for n in range(4)]))
    assert "Some lines are not drawn." in one.caption
    assert "verb3" not in one.panels[0].svg


def test_a_climb_has_a_panel_per_name() -> None:
    steps = [
        ("docker", {}, [n * 2.0**20], {"name": name, "level": float(n)})
        for n in (0, 10, 20)
        for name in ("first", "second")
    ]
    one = figure(seen(CLIMB, *steps))
    assert [panel.title for panel in one.panels] == ["second", "first"]
    assert "first: docker 20 MiB at 20" in one.alternative
    assert "memory, MiB" in one.panels[0].svg


def test_a_table_has_a_column_per_variant_and_exact_counts() -> None:
    one = only(
        seen(
            TABLE,
            ("docker", {}, [14, 14, 15], {"name": "capabilities"}),
            ("process", {}, [41], {"name": "capabilities"}),
            ("process", {}, [7], {"name": "devices"}),
        )
    )
    assert isinstance(one, ShownTable)
    assert one.columns == ("What", "process", "docker")
    assert one.rows == (("capabilities", "41", "14"), ("devices", "7", "n/a"))


def test_a_common_measurement_counts_when_all_its_hosts_are_there() -> None:
    whole = {"of": 2}
    one = figure(
        seen(
            LAST,
            ("docker", {}, [5 * MS], whole | {"name": "one"}),
            ("docker", {}, [9 * MS], whole | {"name": "one"}),
            ("docker", {}, [1 * MS], whole | {"name": "half"}),
            ("docker", {}, [5 * MS], whole | {"name": "lost"}),
            ("docker", {}, [7 * MS, 8 * MS], whole | {"name": "other"}),
            ("docker", {}, [np.inf], whole | {"name": "lost"}),
        )
    )
    assert "docker: 9.00 ms" in one.alternative
    assert "1 of 3 never came." in one.caption


def test_drawing_rests_after_every_panel() -> None:
    rests: list[float] = [0.0]
    some = [("docker", {"concurrency": n}, [n * MS]) for n in (1, 2, 3)]
    draw(seen(CURVE, *some), rests)
    assert len(rests) == 1 + 3
    assert all(rest > 0 for rest in rests[1:])


def test_looks_are_the_campaign_s_in_every_picture() -> None:
    one = figure(seen(CURVE, ("docker", {}, [MS])))
    both = figure(seen(CURVE, ("docker", {}, [MS]), ("process", {}, [MS])))
    assert one.legend[0] in both.legend
