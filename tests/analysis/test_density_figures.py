"""Figures of staircases stay small however many hosts were measured, and say the same."""

import pytest

from analysis.density.figures import MOST_POINTS, processors


def steps(hosts):
    """Climbs to 20 instances and down again on so many hosts, each with a tenth of a processor more."""
    return [
        {
            "counted": True,
            "cpu_busy": instances * (0.1 + host / 1000),
            "instances": instances,
            "direction": direction,
            "conditions": "same for all",
            "variant": "docker",
            "evidence": "",
            "host": f"h{host}",
        }
        for host in range(hosts)
        for direction in ("up", "down")
        for instances in range(21)
    ]


@pytest.mark.parametrize("hosts", [MOST_POINTS // 42, MOST_POINTS // 42 + 1, 50, 400])
def test_processors_are_drawn_in_a_bounded_size(hosts):
    figure = processors(steps(hosts), [], ["docker"])
    assert sum(len(panel.svg) for panel in figure.panels) < 200_000
    assert "docker from 0" in figure.alternative
