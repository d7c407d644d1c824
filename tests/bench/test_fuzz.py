"""A smoke of the fuzzing: some cases of every target. ``tests/bench/fuzz.py`` is the whole of it."""

import pytest
from fuzz import fuzz
from fuzz_targets import Target, targets

from contract.errors import PartError

CASES = 50


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_what_others_wrote_is_read_or_refused_in_our_words(target: Target) -> None:
    found = fuzz(target, CASES, start=2)
    assert not found.defect, found.defect
    assert found.cases >= CASES


def test_what_is_not_our_error_is_found() -> None:
    def read(_: object, case: object) -> object:
        if isinstance(case, dict):
            raise PartError("ours")
        raise ZeroDivisionError(repr(case))

    target = targets()[0]
    found = fuzz(Target("broken", target.cases, read), CASES)
    assert "ZeroDivisionError" in found.defect
    assert not found.fine
