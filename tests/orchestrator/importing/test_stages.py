"""Durations of stages become stamps whose differences are these durations, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.importing.stages import PHASES, StagesDoNotFit, check_stages, lay_out

UP = dict(
    zip(
        PHASES,
        (
            ("t_intent", "t_call"),
            ("t_call", "t_created"),
            ("t_created", "t_started"),
            ("t_started", "t_beacon"),
            ("t_beacon", "t_ready"),
        ),
        strict=True,
    )
)
DURATIONS = st.integers(0, 10**12)


def test_a_whole_alone() -> None:
    assert lay_out({"e2e": 161_000_000}) == {"t_intent": 0, "t_ready": 161_000_000}


@given(st.integers(0, 4), st.integers(1, 5), st.lists(DURATIONS, min_size=5, max_size=5))
def test_phases_lie_end_to_end(first: int, many: int, took: list[int]) -> None:
    names = PHASES[first : first + many]
    check_stages(names)
    stamps = lay_out(dict(zip(names, took, strict=False)))
    for name, duration in zip(names, took, strict=False):
        begin, end = (stamps[stamp] for stamp in UP[name])
        assert begin is not None
        assert end is not None
        assert end - begin == duration
    assert len(stamps) == len(names) + 1


def test_without_a_boot_the_reply_is_waited_for_from_the_start() -> None:
    check_stages(["start", "reply", "e2e"])
    stamps = lay_out({"start": 3, "reply": 5, "e2e": 10})
    assert stamps == {"t_intent": 0, "t_created": 2, "t_started": 5, "t_ready": 10}


def test_first_phases_in_a_whole() -> None:
    check_stages(["queue", "create", "e2e"])
    assert lay_out({"queue": 0, "create": 4, "e2e": 9}) == {
        "t_intent": 0,
        "t_call": 0,
        "t_created": 4,
        "t_ready": 9,
    }


@pytest.mark.parametrize("durations", [{"queue": 5, "e2e": 4}, {"reply": 5, "e2e": 4}])
def test_a_part_longer_than_the_whole_is_refused(durations: dict[str, int]) -> None:
    with pytest.raises(StagesDoNotFit, match=r"1 ns longer|5 ns in an e2e of 4 ns"):
        lay_out(durations)


def test_removal_begins_where_the_way_up_ended() -> None:
    stamps = lay_out({"e2e": 10, "delete": 4, "reclaim": 6})
    assert stamps == {
        "t_intent": 0,
        "t_ready": 10,
        "t_stop_call": 10,
        "t_gone": 14,
        "t_reclaimed": 16,
    }
    assert lay_out({"delete": 4}) == {"t_stop_call": 0, "t_gone": 4}


def test_what_never_came_up_is_not_removed() -> None:
    assert lay_out({"e2e": None, "delete": 4}) == {"t_intent": 0, "t_ready": None}


def test_a_phase_that_was_not_got_through_ends_the_chain() -> None:
    stamps = lay_out({"queue": 1, "create": None, "start": 2})
    assert (stamps["t_call"], stamps["t_created"], stamps["t_started"]) == (1, None, None)


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["e2e", "e2e"], "once"),
        (["queue", "start"], "without a gap"),
        (["create", "reply"], "without a gap"),
        (["e2e", "create"], "value: 0"),
        (["e2e", *PHASES], "not both"),
    ],
)
def test_stages_that_have_no_place_are_refused(names: list[str], allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        check_stages(names)
