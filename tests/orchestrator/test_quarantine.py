"""A host is sick when it fails what others can do, and not when the campaign is at fault."""

from trials import make_trial

from orchestrator.quarantine import FAILURES_IN_A_ROW, FailureWatch

N = FAILURES_IN_A_ROW


def fail(watch: FailureWatch, host: str, times: int, **changes: object) -> list[bool]:
    return [watch.note(make_trial(host=host, block=n, **changes), "failed") for n in range(times)]


def test_a_host_that_fails_what_another_can_do_is_sick_once() -> None:
    watch = FailureWatch()
    watch.note(make_trial(host="h1"), "completed")
    assert fail(watch, "h2", N + 3) == [False] * (N - 1) + [True] + [False] * 3


def test_what_fails_everywhere_is_nobodys_sickness() -> None:
    watch = FailureWatch()
    watch.note(make_trial(host="h1", params={"instances": 9}), "completed")
    assert not any(fail(watch, "h2", 3 * N))


def test_it_turns_out_late_when_the_other_host_is_slow() -> None:
    watch = FailureWatch()
    assert not any(fail(watch, "h2", 2 * N))
    watch.note(make_trial(host="h1"), "completed")
    assert fail(watch, "h2", 1) == [True]


def test_one_success_between_them_clears_the_record() -> None:
    watch = FailureWatch()
    watch.note(make_trial(host="h1"), "completed")
    fail(watch, "h2", N - 1)
    watch.note(make_trial(host="h2", driver="docker"), "completed")
    assert not any(fail(watch, "h2", N - 1))


def test_its_own_success_is_no_proof() -> None:
    watch = FailureWatch()
    watch.note(make_trial(host="h2"), "completed")
    assert not any(fail(watch, "h2", 2 * N))
