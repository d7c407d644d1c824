"""What the pages say of campaigns that were really measured, and of those under way."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from serving_rig import TRIALS, Rig, once_there

from orchestrator.cli.views.words import span


@pytest.fixture
def real(measured: Path) -> Iterator[Rig]:
    """A server over the measured campaign."""
    with Rig.over(measured.parent) as rig:
        rig.serving.shelf.refresh()
        yield rig


def test_without_a_broker_the_fleet_says_how_to_give_one(rig: Rig) -> None:
    text = rig.get("/").text
    assert "tonnage serve --broker redis://HOST:6379/0" in text


def test_a_broker_that_is_away_is_said_without_its_password(tmp_path: Path) -> None:
    with Rig.over(tmp_path, broker="redis://:pass-word@127.0.0.1:1/0") as rig:
        text = rig.get("/").text
        assert "is Redis running" in text
        assert "pass-word" not in text
        assert "0 hosts" not in text  # what is not known is not none
        assert "is not known until the broker answers" in text


def test_campaigns_are_found_by_name_and_state(rig: Rig) -> None:
    rig.serving.shelf.refresh()
    assert "0 of 8" in rig.get("/campaigns").text
    assert "0 of 8" in rig.get("/campaigns?q=SAM&state=incomplete").text
    assert "No campaign is like that" in rig.get("/campaigns?q=other").text
    assert "No campaign is like that" in rig.get("/campaigns?state=done").text


def test_a_campaign_under_way_says_how_far_it_is(rig: Rig) -> None:
    rig.put(0)
    rig.put(1, outcome="failed", error_text="the engine hung")
    rig.serving.shelf.refresh()
    text = rig.get("/campaigns/sample").text
    assert "2 of 8 trials measured" in text
    assert "simulated: the engine hung" in text
    found = rig.get("/campaigns/sample/trials?outcome=failed&q=hung").text
    assert "1 of 8 trials" in found
    assert TRIALS[1].trial_id in found
    assert "6 of 8 trials" in rig.get("/campaigns/sample/trials?outcome=open").text


def test_a_trial_that_nobody_measured_yet_says_so(rig: Rig) -> None:
    assert "Nobody has measured it yet" in rig.get(f"/campaigns/sample/trials/{TRIALS[0].trial_id}").text
    assert rig.get(f"/campaigns/sample/trials/{'0' * 32}").status_code == 404


def test_a_trial_whose_part_is_damaged_says_so(rig: Rig) -> None:
    path = rig.put(0)
    rig.serving.shelf.reader("sample").read()
    path.write_bytes(b"x" * path.stat().st_size)
    assert "cannot be read" in rig.get(f"/campaigns/sample/trials/{TRIALS[0].trial_id}").text


def test_a_trial_shows_its_record(real: Rig) -> None:
    trial = real.serving.shelf.reader("real").recent(1)[0][0]
    text = real.get(f"/campaigns/real/trials/{trial.trial_id}").text
    for words in ("simulated time", "yes, nothing here is real", "Instances", "cpu_count", "tonnage"):
        assert words in text


def test_pictures_of_what_was_measured(real: Rig) -> None:
    assert "Being drawn" in real.get("/campaigns/real").text
    while real.serving.drawings.refresh():
        pass
    text = real.get("/campaigns/real").text
    assert "Being drawn" not in text
    for experiment, title in (("density", "Memory against the"), ("lifecycle", "Time until ready")):
        assert title in text.partition(f"<h3>{experiment}</h3>")[2].partition("<h3>")[0]
    assert "time was simulated: nothing here is real" in text
    assert 'aria-label="Rising curves, ' in text
    assert "style=" not in text.partition("<main")[2]  # what the page's policy would not let through


def test_every_table_can_be_taken_away(real: Rig) -> None:
    text = once_there(real, "/campaigns/real/tables", "lifecycle-latency")
    assert "trials.parquet" in text
    answer = real.get("/campaigns/real/tables/instances.parquet")
    assert pq.read_table(io.BytesIO(answer.content)).num_rows > 48
    assert answer.headers["content-disposition"] == 'attachment; filename="real-instances.parquet"'
    assert real.get("/campaigns/real/tables/lifecycle-latency.csv").text.startswith('"scope",')
    assert isinstance(real.get("/campaigns/real/tables/trials.json").json(), list)
    assert real.get("/campaigns/real/tables/trials.exe").status_code == 404
    assert "allowed: trials" in real.get("/campaigns/real/tables/nothing.csv").text


def test_the_report_is_served_with_its_tables(real: Rig) -> None:
    assert "Tonnage report" in real.get("/campaigns/real/report/report.html").text
    assert real.get("/campaigns/real/report/tables/lifecycle-latency.csv").status_code == 200
    assert real.get("/campaigns/real/report/tables/nothing.csv").status_code == 404


def test_two_campaigns_are_compared(real: Rig) -> None:
    text = once_there(real, "/compare?a=real&b=twin", "What this rests on")
    assert "real against twin" in text
    assert "equivalent" in text or "undecided" in text
    parts = "/compare?a=real&of_a=profile%3Dquick&of_b=profile%3Dslow"
    assert "faster" in once_there(real, parts, "What this rests on")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("a=real&floor=x", "smallest difference: found"),
        ("a=real&of_a=colour%3Dred", "colour"),
        ("a=../secret", "no results folder"),
    ],
)
def test_what_cannot_be_compared_is_said(real: Rig, query: str, said: str) -> None:
    assert said in once_there(real, f"/compare?{query}", 'class="problem"')


def test_the_calculator_answers_and_follows_its_form(real: Rig) -> None:
    asked = "/capacity?dataset=real&s0.name=web&s0.p50="
    few = once_there(real, f"{asked}500", 'class="hosts"')
    assert "web as simulated/quick" in few
    assert "tonnage capacity --demand" in few
    more = once_there(real, f"{asked}50000000&lose=2&c0.name=&rto=", 'class="hosts"')
    assert more != few


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("s0.p50=many", "s0-p50", "found &#39;many&#39;"),
        ("s0.p50=5&rto=3parsec", "rto", "a time with its unit"),
        ("s0.p50=5&s0.variants=dockr", "s0-variants", "dockr"),
        ("s0.p50=5&c0.name=nowhere", "c0-name", "a class of hosts that was measured"),
        ("s0.p50=5&lose=3&domains=2", "lose", "below the number of domains"),
        ("s0.p50=5&headroom.mem=150%25", "headroom-mem", "found"),
        ("s0.p50=5&failures.mtbf=1h", "failures-mttr", "must be filled in"),
    ],
)
def test_complaints_stand_beside_their_field(real: Rig, query: str, field: str, said: str) -> None:
    text = once_there(real, f"/capacity?dataset=real&{query}", "cannot be understood")
    beside = text.partition(f'id="wrong-{field}"')[2].partition("</span>")[0]
    assert said in beside
    assert text.partition(f'<input id="{field}"')[2].partition(">")[0].count('aria-invalid="true"') == 1


def test_a_folder_without_density_says_what_is_missing(rig: Rig, measured: Path) -> None:
    assert "no dataset" in rig.get("/capacity?dataset=sample").text


def test_an_unknown_page_says_so(rig: Rig) -> None:
    answer = rig.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "it may be mistyped" in answer.text
    assert "takes the forms of these pages only" in rig.get("/start").text


def test_without_a_token_there_is_no_form_for_one(rig: Rig) -> None:
    text = rig.get("/login").text
    assert "started without --token" in text
    assert 'name="token"' not in text


def test_an_empty_root_says_how_to_fill_it(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    with Rig.over(tmp_path) as rig:
        rig.serving.shelf.refresh()
        assert "tonnage run CAMPAIGN.yaml --results" in rig.get("/campaigns").text


def test_a_defect_shows_nothing_of_itself(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.serving.shelf, "overviews", None)
    answer = rig.get("/campaigns")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "not known"), (4.4, "4 s"), (99.6, "2 min"), (5_999, "1 h 40 min"), (200_000, "2 d 7 h")],
)
def test_times_as_people_say_them(seconds: float | None, words: str) -> None:
    assert span(seconds) == words
