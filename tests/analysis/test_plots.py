from xml.etree import ElementTree as ET

import pytest

from analysis import plots
from analysis.figures import STAGE_COLOURS
from analysis.palette import BACKGROUNDS, COLOURS, contrast, legend, swatch

MS = 1e6
parse = ET.fromstring
LOOKS = legend(["process", "docker"])


def rows(*values, **more):
    return [{"variant": "docker", "value_ns": v, "low_ns": None, "high_ns": None} | more for v in values]


def drawn(panel):
    (found,) = plots.draw([panel])
    parse(found.svg)
    return found.svg


@pytest.mark.parametrize("colour", [*COLOURS, *STAGE_COLOURS])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_colour_can_be_seen_on_light_and_dark(colour, background):
    assert contrast(colour, background) >= 3


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_variants_differ_by_more_than_colour():
    looks = legend([f"v{i}" for i in range(24)])
    assert len({(look.colour, look.dash, look.shape) for look in looks}) == 24
    for look in looks:
        parse(swatch(look))


@pytest.mark.parametrize(
    ("values", "title", "logarithmic"),
    [
        ([161 * MS, 170 * MS], "time, ms", False),
        ([1.2e9, 2e9], "time, s", False),
        ([3 * MS, 2e9], "time", True),
        ([500.0], "time, µs", False),
        ([0.0], "time, µs", False),
        ([], "time, µs", False),
        ([0.0, 5 * MS], "time, ms", False),
        ([float("inf"), 5 * MS], "time, ms", False),
    ],
)
def test_an_axis_suits_its_values(values, title, logarithmic):
    axis = plots.time_axis(values, "time")
    assert axis.title == title
    assert bool(axis.ticks) == logarithmic
    assert axis.low < axis.high
    for value in values:
        assert axis.low <= axis.scaled(value) <= axis.high


def test_a_logarithmic_axis_names_its_units():
    axis = plots.time_axis([3 * MS, 30e9], "time")
    panel = plots.curve_panel("", [r | {"share": 0.5} for r in rows(3 * MS, 30e9)], LOOKS, axis)
    svg = drawn(panel)
    assert ">10 ms<" in svg
    assert ">10 s<" in svg


def test_a_drawing_takes_its_ink_from_the_page():
    svg = drawn(plots.dot_panel("", rows(5 * MS, name="h1"), LOOKS, plots.time_axis([5 * MS], "t")))
    assert "currentColor" in svg
    assert "#0102" not in svg
    assert "var(--grid)" in svg
    assert LOOKS[1].colour in svg


def test_every_drawing_has_ids_of_its_own():
    def panel(value):
        axis = plots.time_axis([value], "t")
        return plots.curve_panel("", [r | {"share": 1.0} for r in rows(value)], LOOKS, axis)

    one, other = (plots._for_page(f'<svg viewBox="0 0 1 1"><g id="a{i}"/></svg>') for i in (1, 2))
    assert one.split('id="')[1].split("-")[0] != other.split('id="')[1].split("-")[0]
    assert drawn(panel(5 * MS)) == drawn(panel(5 * MS))


@pytest.mark.parametrize(
    "svg",
    [
        "<svg><script>alert(1)</script></svg>",
        '<svg><image href="http://a.example/"/></svg>',
        '<svg><g onclick="alert(1)"/></svg>',
        '<svg><path fill="url(http://a.example/)"/></svg>',
        "<svg><foreignObject/></svg>",
    ],
)
def test_a_drawing_that_runs_or_loads_is_refused(svg):
    with pytest.raises(AssertionError, match="a plot holds"):
        plots._for_page(svg)


def test_hostile_names_are_text():
    name = "<script>alert('1')</script>&\""
    axis = plots.time_axis([5 * MS], "t")
    svg = drawn(plots.dot_panel("", rows(5 * MS, name=name, variant=name), legend([name]), axis))
    assert "<script" not in svg
    texts = [e.text for e in parse(svg).iter() if e.tag.endswith("text")]
    assert name in texts


def test_levels_and_stacks_and_strips_are_drawn():
    axis = plots.time_axis([5 * MS, 9 * MS], "t")
    levels = [r | {"level": level} for level, r in zip((0, 4), rows(5 * MS, 9 * MS), strict=True)]
    drawn(plots.level_panel("", levels, LOOKS, ("residents", axis)))
    drawn(plots.strip_panel("", rows(5 * MS, 9 * MS, name="docker"), LOOKS, axis))
    parts = [{"bar": "docker", "part": look.label, "share": 0.5} for look in LOOKS]
    drawn(plots.stack_panel("", parts, LOOKS))
