"""Tables by host class."""

import pytest
from make_campaign import Truth, write_campaign
from page import Page, check_page

from analysis.dataset import open_dataset
from analysis.report import write_report
from analysis.tables import table_modules

HOSTS = ("h1", "h2", "h3", "h4")
EVERY = ("lifecycle", "density", "recovery", "deployment")
BOTH = Truth(
    HOSTS, 3, 5, drivers={"docker": 100.0}, experiments=EVERY, big=HOSTS[:2], host_sigma=0.0,
    slow={"h3": 2.0, "h4": 2.0},
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_campaign(tmp_path_factory.mktemp("classes") / "d", BOTH)


@pytest.mark.parametrize(
    ("experiment", "name", "column"),
    [
        ("lifecycle", "latency", "p50_ns"),
        ("lifecycle", "outcomes", "attempted"),
        ("density", "slopes", "slope"),
        ("density", "limits", "staircases"),
        ("recovery", "outcomes", "median_ns"),
        ("deployment", "moved", "n"),
    ],
)
def test_classes_have_rows_of_their_own(dataset, experiment, name, column):
    with open_dataset(dataset) as opened:
        table = table_modules()[experiment].table(opened)[name]
    first = table.drop_duplicates(["scope", "host_class", "host"]).set_index("scope")
    assert list(first.index) == ["fleet", "class", "class", "host", "host", "host", "host"]
    assert list(first.loc["class", "host_class"]) == ["big", "small"]
    assert list(first.loc["host", "host_class"]) == ["big", "big", "small", "small"]
    assert first.loc[["fleet"], "host_class"].isna().all()
    big, small = first.loc["class", column]
    fleet = first.loc["fleet", column]
    if column in ("attempted", "staircases", "n"):
        assert big + small == fleet
    else:
        assert small == pytest.approx(2 * big, rel=0.35)
        assert big < fleet < small


def test_the_report_shows_them(dataset, tmp_path):
    page = Page(write_report(dataset, tmp_path).read_text(encoding="utf-8"))
    check_page(page, tmp_path)
    captions = " ".join(caption.text for caption in page.all("caption"))
    for title in ("Time to ready", "Time to deploy", "Density", "Recovery"):
        assert f"{title} by host class" in captions
    maps = [f.all("h3")[0].text for f in page.all("figure") if "against the fleet" in f.text]
    assert [title.partition(": ")[2] for title in maps] == [
        "memory per instance",
        "time to deploy",
        "time to ready",
        "time to recover",
    ]


def test_one_class_has_no_rows(tmp_path):
    alike = write_campaign(tmp_path / "d", Truth(("h1", "h2"), 1, 3))
    with open_dataset(alike) as opened:
        table = table_modules()["lifecycle"].table(opened)["outcomes"]
    assert set(table["scope"]) == {"fleet", "host"}
    assert table.loc[table["scope"] == "host", "host_class"].notna().all()
