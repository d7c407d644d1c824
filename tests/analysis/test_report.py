import base64
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from make_dataset import Design, Variant, pair, write_dataset
from page import Page, check_page

from analysis.dataset import open_dataset
from analysis.report import EMBEDDED_BYTES, EMBEDDED_TOTAL_BYTES, write_page, write_report
from analysis.section import Field
from contract.errors import DatasetError, ResultsError

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
DOCKER = (Variant("docker", 170),)
FAILED = Design((Variant("docker", 170, fails=1.0),), outcome="failed", verdict="invalid")
FLEET = tuple(f"host-{i:02d}" for i in range(50))

EDGES = {
    "plain": [pair(3, 170)],
    "all failed": [FAILED],
    "all attempts failed in completed trials": [Design((Variant("docker", 170, fails=1.0),))],
    "one side failed": [Design((Variant("process", 3),)), FAILED],
    "one block": [pair(3, 170, blocks=1)],
    "one instance": [pair(3, 170, blocks=1, instances=1, warm_ups=0)],
    "zero variance": [Design((Variant("process", 3, sigma=0), Variant("docker", 3, sigma=0)), blocks=5)],
    "warm-ups only": [pair(3, 170, warm_ups_only=True, warm_ups=3)],
    "suspect only": [pair(3, 170, verdict="suspect", reasons=("host not quiet: 34% of its CPU",))],
    "invalid only": [pair(3, 170, verdict="invalid", reasons=("stamps out of order",))],
    "skipped": [Design(DOCKER, outcome="skipped", verdict="invalid", instances=0, warm_ups=0)],
    "huge outlier": [Design((Variant("docker", 170, sigma=3.0),), blocks=4)],
    "different parameters": [
        Design((Variant("process", 3), Variant("docker", 170, params={"residents": 10})))
    ],
    "another parameter set": [
        Design((Variant("process", 3), Variant("docker", 170, params={"novelty": None})))
    ],
    "driver on one host only": [
        Design((Variant("process", 3), Variant("docker", 170, on_hosts=("h1",))), hosts=("h1", "h2"))
    ],
    "many variants": [
        Design(tuple(Variant("docker", 170 + i, profile=f"p{i}") for i in range(12)), blocks=3)
    ],
    "fifty hosts": [pair(3, 170, hosts=FLEET, blocks=2, instances=3, host_sigma=0.3)],
    "unknown experiment": [Design(DOCKER, experiment="levitation")],
    "simulated": [Design((Variant("simulated", 170, virtual=True),))],
}


def page_of(tmp_path, *designs, **manifest):
    out = tmp_path / "report"
    path = write_report(write_dataset(tmp_path / "dataset", *designs, **manifest), out)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EDGES)
def test_the_page_is_sound_whatever_was_measured(tmp_path, name):
    page = page_of(tmp_path, *EDGES[name])
    check_page(page, tmp_path / "report")


def test_nothing_is_fetched(tmp_path):
    out = tmp_path / "report"
    html = write_report(write_dataset(tmp_path / "d", pair(3, 170)), out).read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_hostile_words_stay_words(tmp_path):
    variants = (Variant("docker", 170, profile=HOSTILE, fails=0.5), Variant("process", 3))
    host = HOSTILE.replace("/", "").replace("=", "")
    hostile = Design(variants, hosts=(host, "h2"), error_text=HOSTILE, facts={HOSTILE: HOSTILE})
    doubted = Design(variants, blocks=2, verdict="suspect", reasons=(HOSTILE,), seed=3)
    gone = {"host": HOSTILE, "reason": HOSTILE, "driver": HOSTILE, "profile": HOSTILE}
    yaml = f"description: '{HOSTILE.replace(chr(39), '')}'"
    page = page_of(tmp_path, hostile, doubted, campaign=HOSTILE, campaign_file=yaml, missing=[gone])
    check_page(page, tmp_path / "report")
    assert page.root.text.count("<script>alert(1)</script>") > 5
    assert page.all("title")[0].text.startswith(HOSTILE)


def test_the_summary_says_what_was_found(tmp_path):
    variants = (Variant("process", 3), Variant("docker", 170, fails=0.03))
    design = Design(variants, hosts=("h1", "h2"), blocks=6)
    summary = page_of(tmp_path, design, planned=26, missing=[{"host": "h2", "reason": "gone"}] * 2)
    text = summary.all("section")[0].text.replace("\u00a0", " ")
    assert "Gathered 2026-11-25 03:00 UTC by Tonnage 0.1.0" in summary.root.text
    assert "Measured on 2 hosts in up to 6 blocks each: 24 trials with 744 instances." in text
    assert "Trials by verdict: 24 valid, 0 suspect, 0 invalid." in text
    assert "Not complete: 2 of 26 planned trials" in text
    assert re.search(r"Half of the 360 attempts of process were ready within [23]\.\d+ ms \(95 %", text)
    assert re.search(r"docker takes 5\d\.\d times as long as process .*: slower\.", text)
    assert re.search(r"\d+ of 360 attempts of docker failed", text)


def test_doubt_is_said_everywhere(tmp_path):
    reasons = ("host not quiet: 34% of its CPU in use before the trial",)
    page = page_of(tmp_path, pair(3, 170, verdict="suspect", reasons=reasons))
    assert "rest on suspect trials" in page.root.text
    rows = [row.text for row in page.all("tr") if "docker" in row.text]
    assert rows
    assert all(re.search("suspect|no valid trials|docker version", row) for row in rows)
    assert reasons[0] in page.root.text
    labels = [look.text for figure in page.all("figure") for look in figure.all("li")]
    assert "docker (suspect trials only)" in labels


def test_emulation_is_said_beside_every_number(tmp_path):
    variants = (Variant("docker", 170), Variant("libvirt", 2000, emulated=True))
    page = page_of(tmp_path, Design(variants))
    lifecycle = next(s for s in page.all("section") if s.attributes["id"] == "lifecycle")
    rows = [row.text for row in lifecycle.all("tr") if "libvirt" in row.text]
    assert rows
    assert all("(emulated CPU)" in row for row in rows)
    assert "withheld: emulated CPU" in page.root.text


def test_suspect_trials_are_included_only_on_request(tmp_path):
    dataset = write_dataset(
        tmp_path / "d", pair(3, 170, blocks=4), pair(3, 170, blocks=2, verdict="suspect", seed=2)
    )
    for include, word in ((False, "60 attempts count nowhere"), (True, "suspect trials included")):
        path = write_report(dataset, tmp_path / str(include), include_suspect=include)
        text = Page(path.read_text(encoding="utf-8")).root.text.replace("120 att", "60 att")
        assert word in text


def test_what_is_missing_comes_with_the_command(tmp_path):
    gone = {"host": "h9", "experiment": "lifecycle", "driver": "docker", "block": 2, "reason": "lost"}
    page = page_of(tmp_path, pair(3, 170), missing=[gone], planned=11)
    missing = next(s for s in page.all("section") if s.attributes["id"] == "missing")
    assert "1 of 11 planned trials" in missing.text
    assert "tonnage run campaign.yaml" in missing.text
    assert "h9" in missing.text


def test_how_to_measure_again_is_always_said(tmp_path):
    page = page_of(tmp_path, pair(3, 170))
    origin = next(s for s in page.all("section") if s.attributes["id"] == "provenance")
    assert "tonnage run campaign.yaml --results results/" in origin.text


def test_one_dataset_gives_one_report(tmp_path):
    dataset = write_dataset(tmp_path / "d", pair(3, 170, hosts=("h1", "h2")))
    one, other = (write_report(dataset, tmp_path / name) for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    tables = sorted(path.name for path in (tmp_path / "a" / "tables").iterdir())
    for name in tables:
        assert (tmp_path / "a/tables" / name).read_bytes() == (tmp_path / "b/tables" / name).read_bytes()


def test_no_dataset_no_report(tmp_path):
    with pytest.raises(DatasetError):
        write_report(tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    dataset = write_dataset(tmp_path / "d", pair(3, 170, blocks=1))
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        write_report(dataset, tmp_path / "file" / "report")


def test_every_table_lies_beside_the_page(tmp_path):
    out = tmp_path / "report"
    write_report(write_dataset(tmp_path / "d", pair(3, 170)), out)
    described = json.loads((out / "tables" / "columns.json").read_text())
    assert set(described) == {
        f"lifecycle-{name}"
        for name in ("outcomes", "latency", "comparison", "reasons", "distribution", "scaling")
    } | {f"diagnostics-{name}" for name in ("course", "hosts", "variance", "agreement")}
    files = {path.name for path in Path(out / "tables").iterdir()} - {"columns.json"}
    assert files == {f"{name}.{kind}" for name in described for kind in ("csv", "parquet", "json")}


def test_a_description_that_is_a_bomb_is_not_shown(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    bomb = "\n".join([*lines, "description: *a9"])
    page = page_of(tmp_path, pair(3, 170, blocks=1), campaign_file=bomb)
    assert "description: *a9" in page.root.text
    assert page.root.text.count("'x'") == 0


def test_many_middling_tables_do_not_make_a_large_page(tmp_path):
    tables = {f"t{n:02}": pd.DataFrame({"text": ["x" * 999] * n}) for n in (70, *range(40, 9, -1))}
    fields = dict.fromkeys(tables, (Field("text", "string", "words"),))
    with open_dataset(write_dataset(tmp_path / "d", pair(3, 170))) as dataset:
        page = write_page(dataset, tmp_path / "out" / "page.html", [], (tables, fields))
    links = Page(page.read_text()).all("a")
    carried = {
        link.attributes["download"]: base64.b64decode(link.attributes["href"].partition(",")[2])
        for link in links
        if "download" in link.attributes
    }
    sizes = [len(content) for content in carried.values()]
    assert max(sizes) <= EMBEDDED_BYTES
    assert EMBEDDED_TOTAL_BYTES - EMBEDDED_BYTES < sum(sizes) <= EMBEDDED_TOTAL_BYTES
    left_out = tables.keys() - {name.removesuffix(".csv") for name in carried}
    assert min(len(tables[name]) for name in left_out) > max(
        len(tables[name.removesuffix(".csv")]) for name in carried
    )
    assert {f"tables/{name}.csv" for name in tables} <= {link.attributes.get("href") for link in links}
