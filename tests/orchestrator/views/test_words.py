"""Reasons that mean the same are said once, and no number of one of them stands for all."""

from orchestrator.cli.views.words import grouped


def test_reasons_that_differ_in_numbers_only_are_one() -> None:
    reasons = {
        "docker: host h1 went away for 60.5 s": 2,
        "docker: host h22 went away for 7 s": 3,
        "x 1": 4,
    }
    assert grouped(reasons) == [("docker: host h… went away for … s", 5), ("x 1", 4)]
