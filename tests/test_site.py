"""The documentation as a site: no page left out, no dead link, nothing from elsewhere."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("mkdocs") is None or find_spec("material") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no mkdocs: install dependency group 'docs'")
        pytest.skip("no mkdocs: install dependency group 'docs'")
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_every_page_is_on_it(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    names = {str(page).replace("README", "index") for page in pages}
    names |= {"index", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"}
    assert {name for name in names if not (site / f"{name}.html").is_file()} == set()


def test_no_link_on_it_is_dead(site: Path) -> None:
    """Also those to files of the checkout, which the strict build does not see."""
    dead = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'href="([^"#?]+)', page.read_text()):
            local = not re.match(r"[a-z]+:|//", target) and page.name != "404.html"
            if local and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(site)}: {target}")
    assert dead == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]+src="([^"]+)|<link[^>]+stylesheet[^>]+href="([^"]+)'
    )
    found = {a or b for page in site.rglob("*.html") for a, b in loaded.findall(page.read_text())}
    assert {target for target in found if re.match(r"https?:|//", target)} == set()
    sheets = "".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert not re.search(r"url\(\s*[\"']?(https?:)?//", sheets)
