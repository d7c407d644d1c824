from xml.etree import ElementTree as ET

import pytest

from analysis import curves, plots
from analysis.palette import legend

parse = ET.fromstring
LOOKS = legend(["docker", "process"])
MIB = 1 << 20


def drawn(panel):
    (found,) = plots.draw([panel])
    parse(found.svg)
    return found.svg


def texts(svg):
    return [e.text for e in parse(svg).iter() if e.tag.endswith("text") and e.text]


def points(*places, variant="docker", up=True):
    return [{"variant": variant, "n": n, "value": value, "up": up} for n, value in places]


@pytest.mark.parametrize(
    ("sizes", "title"),
    [
        ([0, 5 * MIB], "memory, MiB"),
        ([3e9], "memory, GiB"),
        ([0.0], "memory, B"),
        ([], "memory, B"),
        ([float("inf"), 2048], "memory, KiB"),
        ([-5 * MIB, MIB], "memory, MiB"),
    ],
)
def test_an_axis_of_sizes_takes_the_unit_that_fits_and_holds_all(sizes, title):
    axis = curves.size_axis(sizes, "memory")
    assert axis.title == title
    assert axis.low <= 0 < axis.high
    for size in sizes:
        assert axis.low <= axis.scaled(size) <= axis.high
    assert [axis.scaled(s) for s in sizes if abs(s) < 1e18] == [
        pytest.approx(s / axis.per_unit) for s in sizes if abs(s) < 1e18
    ]


@pytest.mark.parametrize(("cpus", "title"), [([0.2], "used, mCPU"), ([0.2, 3], "used, CPU")])
def test_an_axis_of_processors(cpus, title):
    assert curves.cpu_axis(cpus, "used").title == title


def test_a_climb_is_drawn_with_all_that_it_holds():
    axis = curves.size_axis([0, 400 * MIB], "memory")
    climbs = curves.Climbs(
        points((0, 0), (100, 200 * MIB)) + points((0, 3 * MIB), up=False),
        [{"variant": "docker", "n": n, "value": n * 2 * MIB} for n in (0, 100)],
        [{"variant": "docker", "n": 100}],
        [300 * MIB],
    )
    svg = drawn(curves.climb_panel("", climbs, LOOKS, axis))
    assert LOOKS[0].colour in svg
    assert {"instances", "memory, MiB"} < set(texts(svg))
    assert svg.count("stroke-dasharray") >= 2
    bare = drawn(curves.climb_panel("", curves.Climbs(points((0, 0))), LOOKS, axis))
    assert len(bare) < len(svg)


def test_a_range_of_numbers_is_labelled_in_full():
    axis = curves.cpu_axis([0.06, 0.155], "used")
    svg = drawn(curves.climb_panel("", curves.Climbs(points((0, 0.06), (200, 0.155))), LOOKS, axis))
    assert not [text for text in texts(svg) if "e+" in text]


def test_survival_starts_with_all_and_falls_in_steps():
    rows = [{"variant": "docker", "value_ns": s * 1e9, "share": 1 - s / 10} for s in (1, 2, 5)]
    axis = plots.time_axis([r["value_ns"] for r in rows], "time since the fault", log_from=1.0)
    assert axis.ticks
    svg = drawn(curves.survival_panel("", rows, LOOKS, axis))
    assert {"100%", "share not yet recovered", "1 s"} < set(texts(svg))
