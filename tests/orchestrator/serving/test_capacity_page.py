"""The calculator's page against the command: one demand, one answer, whichever is asked."""

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from make_trials import Stairs, Where, density, write_trials
from page import Page
from serving_rig import HERE, Rig, once_there
from typer.testing import CliRunner

from orchestrator.cli import app

DEMAND = """
demand: shop
shapes:
  - name: web
    count: {p50: 2000, p95: 2600}
    variants: [docker]
    reserve: {mem: 256MiB}
    service: {arrivals_per_s: 400, service_time: 50ms, wait: 20ms}
    uptime: {mtbf: 700h, mttr: 2min, needed: 1999, target: 99.9999%}
  - name: db
    variants: [docker]
    service: {arrivals_per_s: 300, service_time: 100ms, wait: 1ms}
    most_per_host: 10
domains: {sizes: [900, 900, 300], lose: 1}
extrapolate: {factor: 1}
confidence: 0.9
host_failures: {mtbf: 4000h, mttr: 8h}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root with one measured dataset, and a demand file."""
    found = tmp_path_factory.mktemp("calculator")
    groups = [
        density(Stairs(Where(name, blocks=3), each_mib=each, peak=peak, step=peak // 10, down=False))
        for name, each, peak in (("docker", 40, 160), ("libvirt", 120, 60))
    ]
    write_trials(found / "results" / "stairs" / "dataset", *groups)
    (found / "demand.yaml").write_text(DEMAND)
    return found


@pytest.fixture
def stairs(folder: Path) -> Iterator[Rig]:
    with Rig.over(folder) as rig:
        rig.serving.shelf.refresh()
        yield rig


def pick(rig: Rig, content: str | bytes, query: str = "", origin: str = HERE) -> tuple[int, str, str]:
    """Send a demand file: status, where the answer leads, and its text."""
    answer = rig.client.post(
        f"/capacity/from-file?dataset=stairs{query}",
        files={"file": ("shop.yaml", content)},
        headers={"origin": origin},
    )
    return answer.status_code, answer.headers.get("location", ""), html.unescape(answer.text)


def said_by_command(folder: Path, demand: Path) -> list[str]:
    words = ["capacity", str(folder / "results" / "stairs"), "--demand", str(demand)]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    return [" ".join(line.split()) for line in ran.stdout.splitlines()]


def test_the_page_and_the_command_say_the_same(stairs: Rig, folder: Path, tmp_path: Path) -> None:
    """Same hosts, same chances, same sentences; also of the file that the page gives away."""
    status, place, _ = pick(stairs, DEMAND)
    assert status == 303
    text = once_there(stairs, place, 'class="hosts"')
    command = said_by_command(folder, folder / "demand.yaml")
    main = Page(text).all("section")[-1]
    rows = [
        " ".join(" ".join(cell.text for cell in row.all("th", "td")).split()) for row in main.all("tr")
    ]
    titles = {" ".join(table.text.split()) for table in main.all("summary")}
    assert {"Around the recommendation", "Waiting for instances", "Availability"} <= titles
    assert len(rows) > 30
    assert [row for row in rows if row not in command] == []
    sentences = [" ".join(one.text.split()) for one in main.all("li")]
    assert any("suffice with a chance of 90.0 %" in one for one in sentences)
    (caveats,) = (one for one in main.all("div") if one.attributes.get("class") == "caveats")
    assert "below the target" in caveats.text
    taken = stairs.get(place.replace("/capacity", "/capacity/demand.yaml"))
    assert taken.headers["content-disposition"] == 'attachment; filename="shop.yaml"'
    (tmp_path / "shop.yaml").write_text(taken.text)
    assert said_by_command(folder, tmp_path / "shop.yaml") == command


def test_a_form_without_a_name_is_taken_as_a_file_too(stairs: Rig, folder: Path, tmp_path: Path) -> None:
    taken = stairs.get("/capacity/demand.yaml?dataset=stairs&s0.p50=500&lose=1").text
    (tmp_path / "taken.yaml").write_text(taken)
    assert any("shape-1 as docker" in line for line in said_by_command(folder, tmp_path / "taken.yaml"))


def test_a_wrong_file_is_said_and_the_form_stays(stairs: Rig) -> None:
    status, _, text = pick(stairs, "demand: a\nshapes: [{name: b, cout: 3}]\n", "&s0.p50=77&rto=5min")
    assert status == 400
    assert "shop.yaml:2: unknown key 'shapes[0].cout' (did you mean 'count'?)" in text
    assert 'value="77"' in text
    assert 'value="5min"' in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no file was picked"),
        (b"\xff\xfe", "is not UTF-8 text"),
        ("a: [", "this is not YAML"),
        ("demand: a\nshapes: [{name: b, count: 3}]\ndescription: \x07\n", "this is not YAML"),
    ],
)
def test_what_is_no_demand_is_said(stairs: Rig, content: str | bytes, said: str) -> None:
    status, _, text = pick(stairs, content)
    assert status == 400
    assert said in text


def test_a_file_that_no_address_holds_goes_to_the_command(stairs: Rig) -> None:
    shapes = ", ".join(f"{{name: s{n}, count: 3, variants: ['{'x' * 700}']}}" for n in range(50))
    status, _, text = pick(stairs, f"demand: a\nshapes: [{shapes}]\n")
    assert status == 400
    assert "allowed: 30000; `tonnage capacity` takes the file as it is" in text
    status, _, text = pick(stairs, "#" * 70_000)
    assert status == 413
    assert "allowed: 64000" in text


def test_files_are_taken_from_this_page_only(stairs: Rig) -> None:
    assert pick(stairs, DEMAND, origin="http://evil.example")[0] == 403


def test_where_reading_needs_the_token_so_does_a_file(folder: Path) -> None:
    said = {"address": "192.0.2.7", "token": "a secret of enough characters"}
    with Rig.over(folder, **said) as rig:
        assert pick(rig, DEMAND)[0] == 403


def test_complaints_are_said_instead_of_a_file(stairs: Rig) -> None:
    answer = stairs.get("/capacity/demand.yaml?dataset=stairs&s0.p50=many")
    assert answer.status_code == 400
    assert "s0.p50: found &#39;many&#39;" in answer.text


def test_classes_that_are_not_measured_keep_their_fields(stairs: Rig) -> None:
    """In whichever row they stand."""
    asked = "&c0.name=big&c0.like=nowhere&c0.mem=2&c1.name=other&another_c=yes"
    text = once_there(stairs, f"/capacity?dataset=stairs&s0.p50=5{asked}", "cannot be understood")
    assert "a class of hosts that was measured" in text.partition('id="wrong-c0-like"')[2][:300]
    assert '<input id="c0-mem" name="c0.mem" value="2"' in text
    assert 'name="c2.like"' in text


def test_a_scaled_class_without_a_name_is_not_taken_for_a_measured_one(stairs: Rig) -> None:
    asked = "&c0.name=&c0.like=class%20not%20known&c0.mem=4"
    text = once_there(stairs, f"/capacity?dataset=stairs&s0.p50=5{asked}", "cannot be understood")
    assert "must be filled in" in text.partition('id="wrong-c0-name"')[2][:100]


def test_nothing_measured_says_what_to_do(tmp_path: Path) -> None:
    with Rig.over(tmp_path) as rig:
        rig.serving.shelf.refresh()
        for path in ("/capacity", "/compare"):
            assert "No results folder here has a dataset yet" in rig.get(path).text
            assert "tonnage r" in rig.get(path).text
