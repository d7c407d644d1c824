"""The host heat map, as a picture and in words."""

from analysis.heatmap import HOSTS_PER_PANEL, MOST_HOSTS, NONE, SHADES, heat_map, latencies
from analysis.palette import contrast

CELL = {
    "driver": "docker",
    "profile": "default",
    "params": "{}",
    "image": "tiny",
    "limits": "{}",
    "emulated": False,
    "virtual": False,
    "variant": "docker",
    "conditions": "same for all",
    "evidence": "valid",
    "metric": "e2e",
    "basis": "all attempts",
}


def rows(values):
    """The fleet with a median of 100, and hosts with theirs."""
    fleet = CELL | {"scope": "fleet", "host": None, "p50_ns": 100.0}
    return [fleet, *(CELL | {"scope": "host", "host": h, "p50_ns": v} for h, v in values.items())]


def test_far_hosts_are_named_in_the_words(tmp_path):
    figure = latencies(
        rows({"h1": 100.0, "h10": 190.0, "h9": 60.0, "h2": float("inf")}), ("e2e", "all attempts"), "x"
    )
    assert "1 of 4 fields are within 0.8 to 1.25 times the fleet's" in figure.alternative
    assert "h2 with docker no median, h10 with docker 1.90× and h9 with docker 0.600×" in (
        figure.alternative
    )
    assert [look.label for look in figure.legend] == [
        "−− below 0.67×",
        "0.95 to 1.05×",
        "++ above 1.5×",
        "× no median",
    ]
    places = [figure.panels[0].svg.index(f">{name}<") for name in ("h1", "h2", "h9", "h10")]
    assert places == sorted(places)


def test_two_hosts_need_no_map():
    assert heat_map(rows({"h1": 1.0, "h2": 2.0}), "p50_ns", "x") is None


def test_of_many_hosts_the_farthest_are_drawn():
    many = {f"host-{i:03d}": 100.0 + i for i in range(MOST_HOSTS + 50)}
    figure = heat_map(rows(many), "p50_ns", "x")
    assert len(figure.panels) == MOST_HOSTS // HOSTS_PER_PANEL
    drawn = "".join(panel.svg for panel in figure.panels)
    assert ">host-249<" in drawn
    assert ">host-010<" not in drawn
    assert "Of 250 hosts, the 200 farthest from it are drawn." in figure.caption


def test_every_shade_has_a_sign_or_is_near_and_signs_can_be_read():
    for shade in (*SHADES, NONE):
        assert contrast(shade.ink, shade.colour) >= 4.5
        assert shade.sign or 0.8 <= shade.upto <= 1.25
