"""What benchmarks of fidelity reckon: medians of stamps, ratios with their intervals, no failed ones."""

import os
import random
from collections.abc import Callable, Iterator

import pytest
from beside_bare_loops import BareLoop, against, turns
from engines import short_folder
from interleaved import ratio_interval
from process_tree import Use
from speed.arrivals import _intents, _ours
from trial_batches import Batch, Life, TrialBatches, batch_of

from contract.rows import InstanceRow
from workers.settings import HostSettings

MS = 10**6


def row(index: int, begin_ms: int, **changes: object) -> InstanceRow:
    stamps = {
        "t_call": begin_ms,
        "t_created": begin_ms + 10 + index,
        "t_started": begin_ms + 100 + index,
        "t_ready": begin_ms + 150,
        "t_stop_call": begin_ms + 160,
        "t_gone": begin_ms + 200,
    }
    made = InstanceRow(index, "ok", **{name: at * MS for name, at in stamps.items()})
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def batches() -> Iterator[TrialBatches]:
    with short_folder() as folder:
        host = HostSettings(name="bench", state_dir=folder / "state", run_dir=folder / "run")
        with TrialBatches("simulated", host) as opened:
            yield opened


def test_a_batch_is_the_medians_of_its_rows() -> None:
    batch = batch_of([row(0, 0), row(1, 500), row(2, 900)], wall_s=1.5)
    assert batch.up_s == pytest.approx(0.101)
    assert batch.calls_s == pytest.approx(0.141)  # without the 59 ms between started and stop
    assert batch.whole_s == pytest.approx(0.2)
    assert batch.per_s == pytest.approx(2.0)


@pytest.mark.parametrize("changes", [{"outcome": "timeout"}, {"error_class": "leak"}])
def test_a_failed_instance_makes_no_figure(changes: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match="an instance failed"):
        batch_of([row(0, 0), row(1, 0, **changes)], wall_s=1.0)


def test_the_interval_holds_the_ratio_and_narrows_with_rounds() -> None:
    draw = random.Random(5)
    widths = []
    for rounds in (10, 160):
        ours = [draw.gauss(110, 10) for _ in range(rounds)]
        limit = [draw.gauss(100, 10) for _ in range(rounds)]
        low, high = ratio_interval(ours, limit)
        assert low < 1.1 < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_what_both_meet_in_a_round_does_not_widen_the_interval() -> None:
    """Rounds are drawn whole: a slow moment of the host slows both sides of its round."""
    levels = [100 * 1.1**step for step in range(25)]
    low, high = ratio_interval([1.03 * level for level in levels], levels)
    assert (low, high) == (pytest.approx(1.03), pytest.approx(1.03))


def test_what_warms_up_does_not_count_and_every_way_has_its_turns(batches: TrialBatches) -> None:
    calls: list[str] = []

    def live(name: str) -> Callable[[], Life]:
        def once() -> Life:
            calls.append(name)
            return Life(0.1, 0.1, 0.3)

        return once

    loops = {name: BareLoop(live(name), f"loop {name}", budget=1.03) for name in ("a", "b")}
    found = turns(batches, "beacon", loops, lanes=4, rounds=3)
    assert {name: len(of) for name, of in found.items()} == {"tonnage": 3, "a": 3, "b": 3}
    assert calls.count("a") == calls.count("b") == 4 * (3 + 1)
    assert all(len(batch.lives) == 4 for of in found.values() for batch in of)


def test_figures_beside_a_loop_say_how_many_times_it_takes() -> None:
    ours = [Batch([Life(0.2, 0.1, 0.4)], 0.5)] * 5
    bare = [Batch([Life(0.1, 0.1, 0.3)], 0.4)] * 5
    loop = BareLoop(lambda: Life(0, 0, 0), "bare loop", budget=1.03)
    latency, rate = against(1, loop, ours, bare, "create and remove")
    assert (latency.value, latency.limit) == (pytest.approx(300), pytest.approx(200))
    assert latency.ratio == pytest.approx(1.5)
    assert latency.keeps_budget is False
    assert rate.ratio == pytest.approx(0.5 / 0.4)
    assert "1.250 to 1.250, 5 rounds" in rate.note
    whole, _ = against(1, BareLoop(loop.live, "program", has_parts=False), ours, bare, "x")
    assert whole.ratio == pytest.approx(4 / 3)


def test_there_is_no_verdict_where_the_interval_holds_the_budget() -> None:
    bare = [Batch([Life(0.1 + 0.01 * (n % 3), 0.1, 0.3)], 0.4) for n in range(9)]
    ours = [Batch([Life(0.1 + 0.01 * (n % 4), 0.1, 0.3)], 0.4) for n in range(9)]
    loop = BareLoop(lambda: Life(0, 0, 0), "bare loop", budget=1.03)
    latency, rate = against(1, loop, ours, bare, "create and remove")
    assert latency.budget is None
    assert "too noisy" in latency.note
    assert rate.keeps_budget is True


def test_arrivals_all_come_and_none_early(batches: TrialBatches) -> None:
    late_us = _ours(batches, rate_per_s=2000, arrivals=100)
    assert len(late_us) == 100
    assert min(late_us) >= 0
    due = list(_intents(1000, 50))
    assert due == sorted(due)


def test_a_process_tree_has_memory_and_time() -> None:
    use = Use.of(os.getpid())
    assert use.processes >= 1
    assert 0 < use.pss_bytes <= use.rss_bytes
    assert use.cpu_s > 0
