"""What an operator wants to see, as options: what is allowed, and what else is told."""

from pathlib import Path
from typing import Any

import pytest

from contract.errors import UseError
from orchestrator.cli.observing_options import observing_from

NONE: dict[str, Any] = dict.fromkeys(("log_format", "log_level", "metrics", "metrics_textfile"))


def test_nothing_said_is_a_text_log_without_metrics() -> None:
    seen = observing_from(**NONE)
    assert (seen.log.format, seen.log.level) == ("text", "info")
    assert not seen.log_wanted
    assert not seen.metrics.wanted


def test_what_was_said_is_taken() -> None:
    seen = observing_from("json", "debug", "9464", Path("/x/tonnage.prom"))
    assert (seen.log.format, seen.log.level, seen.log_wanted) == ("json", "debug", True)
    assert (seen.metrics.address, seen.metrics.textfile) == ("9464", Path("/x/tonnage.prom"))
    assert seen.metrics.wanted


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"log_format": "xml"}, "--log-format: found 'xml'; allowed: text, json"),
        ({"log_level": "loud"}, "--log-level: found 'loud'; allowed: debug, info, warning, error"),
        ({"metrics": "x:y"}, "--metrics: found 'x:y'; allowed: a port"),
        ({"metrics_textfile": Path("a.txt")}, "--metrics-textfile: found 'a.txt'; allowed: a name"),
    ],
)
def test_anything_else_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UseError, match=told.replace(".", "[.]")):
        observing_from(**NONE | wrong)
