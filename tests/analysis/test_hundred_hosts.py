"""The report of a campaign on many hosts: small, whole, and its odd host is seen."""

import re

from make_campaign import Truth, write_campaign
from page import Page, check_page

from analysis.report import write_report

HOSTS = tuple(f"host-{i:03d}" for i in range(100))
EVERY = ("lifecycle", "density", "recovery", "deployment")


def test_the_page_is_small_and_names_the_odd_host(tmp_path):
    truth = Truth(
        HOSTS, 1, 2, experiments=EVERY, big=HOSTS[:30], slow={"host-042": 3.0}, peak=20, probes=2
    )
    out = tmp_path / "report"
    path = write_report(write_campaign(tmp_path / "dataset", truth), out)
    assert path.stat().st_size < 3 * 2**20
    page = Page(path.read_text(encoding="utf-8"))
    check_page(page, out)
    maps = [
        picture.attributes["aria-label"]
        for picture in page.all("div")
        if "A table of colours" in picture.attributes.get("aria-label", "")
    ]
    assert len(maps) == len(EVERY)
    assert all("100 hosts down" in words for words in maps)
    assert all(re.search(r"host-042 with \w+", words) for words in maps)
    summary = page.all("section")[0].text
    assert "host-042 is not like the other hosts of its class" in summary


def test_the_page_is_bounded_from_ten_hosts_to_two_hundred(tmp_path):
    """Up to fifty hosts it grows by some kilobytes a host: at that pace it would pass the bound."""
    sizes, figures = [], set()
    for hosts in (10, 20, 50, 200):
        truth = Truth(tuple(f"host-{i:03d}" for i in range(hosts)), 1, 2, experiments=("lifecycle",))
        path = write_report(write_campaign(tmp_path / f"d{hosts}", truth), tmp_path / f"r{hosts}")
        page = path.read_text(encoding="utf-8")
        sizes.append(len(page.encode()))
        figures.add(page.count("<figure"))
    assert max(sizes) < 500_000
    assert figures == {4}
    assert sizes[-1] < 2 * sizes[-2]
