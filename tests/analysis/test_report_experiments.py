"""The report of density and recovery, whatever was measured."""

import pytest
from make_dataset import Design, Variant, write_dataset
from make_trials import Faults, Stairs, Where, density, recovery, write_trials
from page import Page, check_page

from analysis.report import write_report

FLEET = tuple(f"host-{i:02d}" for i in range(12))
EARLY = Stairs(Where(outcome="failed", verdict="invalid"), failed_early=True)
SLO = {"slo_p99_ms": 10.0}
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"

STAIRS = {
    "plain": [Stairs()],
    "one block": [Stairs(Where(blocks=1))],
    "no instance": [Stairs(peak=0)],
    "one step": [Stairs(peak=10)],
    "failed before the first step": [EARLY],
    "failed beside valid": [
        Stairs(),
        Stairs(Where(seed=3, outcome="failed", verdict="invalid")),
    ],
    "cut short": [Stairs(Where(outcome="partial", verdict="suspect"), failed_early=True)],
    "suspect only": [Stairs(Where(verdict="suspect", reasons=("host not quiet",)))],
    "invalid only": [Stairs(Where(verdict="invalid"))],
    "steps lack samples": [Stairs(missing_steps=(0, 1, 5), without=("pss", "cpu_busy"))],
    "nothing but instances": [Stairs(without=("mem_used", "pss", "cpu_busy", "probe"))],
    "all probes lost": [Stairs(Where(params=SLO), latency_ms=float("inf"))],
    "a knee": [Stairs(Where(params=SLO), knee=80, stop="slo")],
    "an unknown end": [Stairs(stop="moon_phase")],
    "no noise": [Stairs(noise_mib=0.0, cpu_each=0.0)],
    "emulated beside real": [
        Stairs(),
        Stairs(Where("libvirt", profile="tcg", emulated=True), each_mib=215, step=2, peak=20),
    ],
    "simulated": [Stairs(Where("simulated", virtual=True))],
    "many conditions": [Stairs(Where(params={"workload": f"w{i}"}, blocks=2)) for i in range(9)],
    "a fleet": [Stairs(Where(hosts=FLEET, blocks=3), block_sigma=0.1)],
    "hostile words": [Stairs(Where(profile=HOSTILE, params={"workload": HOSTILE}), stop=HOSTILE)],
}
FAULTS = {
    "plain": [Faults()],
    "one block": [Faults(Where(blocks=1))],
    "one injection": [Faults(Where(blocks=1), injections=1)],
    "all censored": [Faults(never=1.0, supervision="none")],
    "some censored": [Faults(never=0.2)],
    "no injection": [Faults(injections=0)],
    "nothing injected": [Faults(injections=4, skipped=4)],
    "the harness failed": [Faults(injections=4, spoilt=4)],
    "failed": [Faults(Where(outcome="failed", verdict="invalid"), never=1.0)],
    "suspect only": [Faults(Where(verdict="suspect", reasons=("host not quiet",)))],
    "invalid only": [Faults(Where(verdict="invalid"))],
    "all at the same moment": [Faults(sigma=0.0)],
    "no deadline said": [Faults(Where(params={"recovery_deadline_s": None}), never=0.2)],
    "matrix": [
        Faults(Where(driver, emulated=driver == "libvirt", blocks=3), fault=fault, supervision=who)
        for driver in ("docker", "libvirt", "process")
        for fault in ("kill", "hang", "engine_restart")
        for who in ("none", "engine", "watcher")
    ],
    "residents": [Faults(Where(params={"residents": n})) for n in (1, 10)],
    "a fleet": [Faults(Where(hosts=FLEET, blocks=2), block_sigma=0.2)],
    "hostile words": [Faults(Where(profile=HOSTILE), fault=HOSTILE, supervision=HOSTILE, never=0.1)],
}


def page_of(tmp_path, made):
    path = write_report(write_trials(tmp_path / "dataset", *made), tmp_path / "report")
    page = Page(path.read_text(encoding="utf-8"))
    check_page(page, tmp_path / "report")
    return page


@pytest.mark.parametrize("name", STAIRS)
def test_density_is_sound_whatever_was_measured(tmp_path, name):
    page = page_of(tmp_path, [density(one) for one in STAIRS[name]])
    assert [s for s in page.all("section") if s.attributes["id"] == "density"]


@pytest.mark.parametrize("name", FAULTS)
def test_recovery_is_sound_whatever_was_measured(tmp_path, name):
    page = page_of(tmp_path, [recovery(one) for one in FAULTS[name]])
    assert [s for s in page.all("section") if s.attributes["id"] == "recovery"]


def test_sections_appear_for_what_the_dataset_has(tmp_path):
    page = page_of(tmp_path, [density(Stairs(Where(blocks=3))), recovery(Faults(Where(blocks=3)))])
    ids = [s.attributes["id"] for s in page.all("section")]
    assert {"density", "recovery"} < set(ids)
    assert "lifecycle" not in ids
    plain = write_report(
        write_dataset(tmp_path / "p", Design((Variant("docker", 170),))), tmp_path / "r"
    )
    ids = [s.attributes["id"] for s in Page(plain.read_text(encoding="utf-8")).all("section")]
    assert not {"density", "recovery"} & set(ids)


def test_emulation_is_said_beside_every_number(tmp_path):
    vm = Where("libvirt", emulated=True)
    page = page_of(tmp_path, [density(Stairs(vm)), recovery(Faults(vm)), recovery(Faults())])
    for section in page.all("section"):
        if section.attributes["id"] in ("density", "recovery"):
            rows = [row.text for row in section.all("tr") if "libvirt" in row.text]
            assert rows
            assert all("(emulated CPU)" in row for row in rows)
    assert "withheld: emulated CPU" in page.root.text


def test_every_figure_says_in_words_what_it_shows_with_units(tmp_path):
    page = page_of(tmp_path, [density(Stairs()), recovery(Faults(never=0.1))])
    spoken = [
        picture.attributes["aria-label"]
        for figure in page.all("figure")
        for picture in figure.all("div")
        if picture.attributes.get("role") == "img"
    ]
    assert len(spoken) == 5
    for words, unit in zip(spoken, ("MiB", "ms", "mCPU", " s", " ms"), strict=True):
        assert unit in words
