"""The report as Chromium draws it: light, dark and narrow."""

import os
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from make_dataset import Design, Variant, write_dataset
from make_trials import Faults, Stairs, Where, density, recovery, write_trials

from analysis.palette import BACKGROUNDS
from analysis.report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
]
MEASURE = """<!doctype html>
<iframe id="f" src="report.html" style="width:{width}px;height:800px"></iframe>
<script>
document.getElementById("f").onload = function () {{
  const page = this.contentDocument;
  const sizes = [...page.querySelectorAll("svg")].map(e => e.getBoundingClientRect());
  const empty = sizes.filter(s => s.width * s.height === 0).length;
  const wide = page.documentElement.scrollWidth;
  document.body.append(`width=${{wide}} drawings=${{sizes.length}} empty=${{empty}};`);
}};
</script>"""


@pytest.fixture(scope="module")
def chromium():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no Chromium")
    if found is None:
        pytest.skip("no Chromium")
    return found


@pytest.fixture(scope="module")
def of_density_and_recovery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    vm = Where("libvirt", profile="tcg", emulated=True, blocks=3)
    made = [density(Stairs(Where(blocks=3, params={"slo_p99_ms": 10.0}), knee=100))]
    made += [density(Stairs(vm, each_mib=215, step=2, peak=20, stop="memory_floor"))]
    made += [recovery(Faults(where, fault=fault, never=0.1))
             for where in (vm, Where(blocks=3)) for fault in ("kill", "engine_restart")]  # fmt: skip
    return write_report(write_trials(folder / "dataset", *made), folder / "report")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    variants = (Variant("process", 3), Variant("docker", 170, fails=0.1), Variant("libvirt", 900))
    design = Design(variants, hosts=("h1", "h2", "h3"), concurrency=(1, 4), blocks=3)
    return write_report(write_dataset(folder / "dataset", design), folder / "report")


def run(chromium, profile, *arguments):
    command = [chromium, *QUIET, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=True).stdout


def corner_of(png: bytes) -> str:
    """Colour of the first pixel: no filter of PNG changes that one."""
    data, place = b"", 8
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += size + 12
    return "#" + zlib.decompress(data)[1:4].hex()


@pytest.mark.parametrize(
    ("scheme", "background"), [([], BACKGROUNDS[0]), (["--force-dark-mode"], BACKGROUNDS[1])]
)
def test_the_page_follows_the_reader(chromium, report, tmp_path, scheme, background):
    picture = tmp_path / "page.png"
    size = ["--window-size=1100,900", f"--screenshot={picture}"]
    run(chromium, tmp_path / "profile", *scheme, *size, report.as_uri())
    assert corner_of(picture.read_bytes()) == background


@pytest.mark.parametrize("width", [400, 1100])
@pytest.mark.parametrize("fixture", ["report", "of_density_and_recovery"])
def test_nothing_sticks_out_and_every_drawing_is_there(chromium, request, tmp_path, fixture, width):
    report = request.getfixturevalue(fixture)
    page = Path(report.parent / f"measure-{width}.html")
    page.write_text(MEASURE.format(width=width))
    arguments = ["--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom"]
    said = run(chromium, tmp_path / "profile", *arguments, page.as_uri())
    found = re.search(r"width=(\d+) drawings=(\d+) empty=(\d+);", said)
    assert found is not None
    wide, drawings, empty = map(int, found.groups())
    assert wide <= width
    assert drawings > 10
    assert empty == 0
