"""The pages as Chromium shows them: whole, accessible, live, under a policy that forbids most things."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from engines import free_port
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from serving_rig import HERE, NOW_S, TOKEN, TRIALS, Rig, host, plan
from trials import make_part

from orchestrator.cli.views.fleet_view import FleetView
from orchestrator.results import Results

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
PAGES = (
    "/",
    "/campaigns",
    "/campaigns/real",
    "/campaigns/real/trials",
    "/campaigns/real/tables",
    "/compare?a=real&b=twin",
    "/capacity?dataset=real&s0.p50=500&lose=1&rto=wrong",
    "/capacity?dataset=real&s0.p50=500&s0.arrivals.p50=9&s0.wait=1s&lose=1&c1.name=a&c1.like=b&s1.p50=3",
    "/capacity?dataset=real&s0.p50=500&lose=1",
    "/login",
    "/nothing",
)
LOOKS = {"light and wide": ("light", 1280), "dark and narrow": ("dark", 360)}
AXE = files("axe_playwright_python") / "axe.min.js"
SMALL = {
    "campaign": "small",
    "blocks": 1,
    "experiments": [{"experiment": "lifecycle", "drivers": ["simulated"], "params": {"instances": 2}}],
}
SHOP = """
demand: shop
shapes: [{name: web, service: {arrivals_per_s: 40, service_time: 50ms, wait: 20ms}}]
"""
SERVED = {"arrivals_per_s": 40, "service_time": "50ms", "wait": "30ms"}
FAULTS = """() => axe.run({ resultTypes: ["violations"] }).then(found => found.violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes[0].html}`))"""


@dataclass(frozen=True)
class Site:
    """A server that runs as people run it."""

    url: str
    root: Path


@pytest.fixture(scope="module")
def browser(measured: Path) -> Iterator[Browser]:
    """After what is measured in this process: a browser's event loop runs until it is closed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    root = folder / "results"
    shutil.copytree(measured, root)
    plan(root / "sample", TRIALS)
    token, campaigns = folder / "token", folder / "campaigns"
    token.write_text(TOKEN)
    token.chmod(0o600)
    campaigns.mkdir()
    (campaigns / "small.yaml").write_text(yaml.safe_dump(SMALL))
    address = f"127.0.0.1:{free_port()}"
    words = ["serve", "--results-root", str(root), "--listen", address, "--token", str(token)]
    words += ["--campaigns", str(campaigns)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}
    own = {
        "TONNAGE_NAME": "h1",
        "TONNAGE_STATE_DIR": str(folder / "s"),
        "TONNAGE_RUN_DIR": str(folder / "r"),
    }
    with subprocess.Popen(
        [sys.executable, "-u", "-c", "from orchestrator.cli import main; main()", *words],
        env=clean | own,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"http://{address}/")
        yield Site(f"http://{address}", root)
        process.terminate()
        assert process.wait(timeout=20) is not None


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    yield opened
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_whole_and_accessible(browser: Browser, site: Site, look: str) -> None:
    scheme, width = LOOKS[look]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES:
        page.goto(site.url + path)
        for waited in ("Being drawn.", "Being read.", "it appears here."):
            expect(page.get_by_text(waited)).to_have_count(0, timeout=60_000)
        if path == "/nothing":
            said.clear()
        assert said == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate(AXE.read_text())
        assert page.evaluate(FAULTS) == [], path
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_the_fleet_is_accessible_to_who_may_act(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """Answered without a network: the page is all there is to see."""
    with Rig.over(tmp_path, token=TOKEN, broker="redis://127.0.0.1:1/0") as acting:
        acting.enter(TOKEN)
        sick = host("h2", quarantine={"why": "failed five trials in a row", "since": 1.0})
        view = FleetView({"h1": host("h1"), "h2": sick, "h3": host("h3", alive=False, beat={})}, NOW_S)
        monkeypatch.setattr(acting.serving.fleet, "view", lambda: view)
        scheme, width = LOOKS[look]
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
        page = context.new_page()

        def answer(route: Route) -> None:
            found = acting.client.get(route.request.url.removeprefix(HERE))
            route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

        acting.serving.hub.close()
        page.route("**/*", answer)
        page.goto(f"{HERE}/")
        expect(page.get_by_role("button", name="Release h2 from quarantine")).to_be_visible()
        page.evaluate(AXE.read_text())
        assert page.evaluate(FAULTS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()


def test_a_trials_end_is_seen_without_loading_the_page(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/campaigns/sample")
    expect(page.locator("#live-state")).to_have_text("live")
    page.evaluate("window.same = true")
    part = make_part(TRIALS[0])
    Results(site.root / "sample").store(part.name, part.data)
    expect(page.locator("#headline")).to_contain_text("1 of 8 trials measured", timeout=30_000)
    expect(page.locator("#recent")).to_contain_text("lifecycle simulated")
    assert page.evaluate("window.same")


def test_the_calculator_follows_its_form(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/capacity?dataset=real")
    page.evaluate("window.same = true")
    page.get_by_label("Instances", exact=True).fill("500")
    expect(page.locator(".hosts").first).to_contain_text("host", timeout=30_000)
    before = page.locator(".hosts").first.inner_text()
    page.get_by_label("Instances", exact=True).fill("500000000")
    expect(page.locator(".hosts").first).not_to_have_text(before, timeout=30_000)
    page.get_by_label("Back within (RTO)").fill("3 parsec")
    expect(page.locator("#wrong-rto")).to_contain_text("a time with its unit", timeout=30_000)
    assert page.evaluate("window.same")


def test_a_demand_file_fills_the_calculator_and_is_given_back(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/capacity?dataset=real")
    page.get_by_label("A demand file, to begin with").set_input_files(
        files=[{"name": "shop.yaml", "mimeType": "application/yaml", "buffer": SHOP.encode()}]
    )
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("Requests per second")).to_have_value("40")
    expect(page.locator(".hosts").first).to_contain_text("host", timeout=30_000)
    page.get_by_label("Longest wait").fill("soon")
    expect(page.locator("#wrong-s0-wait")).to_contain_text("a time with its unit", timeout=30_000)
    page.get_by_label("Longest wait").fill("30ms")
    expect(page.get_by_role("link", name="Take it as a demand file")).to_be_visible(timeout=30_000)
    with page.expect_download() as taken:
        page.get_by_role("link", name="Take it as a demand file").click()
    assert taken.value.suggested_filename == "shop.yaml"
    said = yaml.safe_load(taken.value.path().read_text())
    assert said["shapes"] == [yaml.safe_load(SHOP)["shapes"][0] | {"service": SERVED}]


def test_a_campaign_is_started_from_the_page(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/login?to=/campaigns")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Enter").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#headline")).to_contain_text("done", timeout=90_000)
    expect(page.locator("pre.log")).to_contain_text("report: ")
    page.get_by_role("link", name="Campaign small").click()
    expect(page.locator("#headline")).to_contain_text("1 of 1 trials measured", timeout=30_000)
