"""A wrong name is answered with the one that was meant, wherever it stands."""

import pytest

from contract.nearest import did_you_mean, hinted


@pytest.mark.parametrize(
    ("found", "allowed", "hint"),
    [
        ("dokcer", ["docker", "podman"], " (did you mean 'docker'?)"),
        ("instances_", ["instances"], " (did you mean 'instances'?)"),
        ("banana", ["docker", "podman"], ""),
        (3, ["docker"], ""),
        ("docker", [], ""),
    ],
)
def test_the_nearest_name_is_asked_for(found: object, allowed: list[str], hint: str) -> None:
    assert did_you_mean(found, allowed) == hint


@pytest.mark.parametrize(
    ("complaint", "hint"),
    [
        ("'campain' is not one of 'campaign', 'gate'.", " (did you mean 'campaign'?)"),
        ("'zzz' is not one of 'campaign', 'gate'.", ""),
        ("No such command 'valdate'.", ""),
        ("nothing in quotes", ""),
    ],
)
def test_complaints_of_a_library_get_the_hint(complaint: str, hint: str) -> None:
    assert hinted(complaint).rstrip(".") == complaint.rstrip(".") + hint
