"""Tonnage's batches and those of bare loops in turn, and the figures that come of them."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from figure import Figure
from interleaved import in_turn, medians, ratio_interval
from trial_batches import Batch, Life, TrialBatches, by_hand

BUDGET = 1.03
"""Create, start and remove within 3 % of a bare loop of engine calls.

No verdict where the interval of the ratio holds it: an engine's own noise is often more than 3 %. What
Tonnage itself adds is measured apart, without that noise.
"""
ROUNDS_FOR_A_VERDICT = 5


@dataclass(frozen=True)
class Plan:
    """How much is done at one concurrency. A batch has as many lifecycles as are in flight at once."""

    concurrency: int
    rounds: int
    """Against the loop that the budget is about."""
    others: int
    """Against the others."""


@dataclass(frozen=True)
class BareLoop:
    """What a person would write."""

    live: Callable[[], Life]
    limit_is: str
    has_parts: bool = True
    """Whether it can tell create, start and remove from what is between."""
    budget: float | None = None


def turns(
    batches: TrialBatches,
    ready: str,
    loops: Mapping[str, BareLoop],
    lanes: int,
    rounds: int,
    each: int = 1,
) -> dict[str, list[Batch]]:
    """Batches of ours (under the name "tonnage") and of the loops, without those that warmed up.

    A batch has ``each`` lifecycles for every one that is in flight.
    """
    size = lanes * each
    seen: dict[str, list[Batch]] = {name: [] for name in ("tonnage", *loops)}

    def noted(name: str, batch: Callable[[], Batch]) -> Callable[[], float]:
        def once() -> float:
            seen[name].append(batch())
            return seen[name][-1].wall_s

        return once

    with ThreadPoolExecutor(lanes) as pool:
        ways = {"tonnage": noted("tonnage", lambda: batches.batch(size, lanes, ready))}
        for name, loop in loops.items():
            ways[name] = noted(name, lambda live=loop.live: by_hand(live, size, pool))  # type: ignore[misc]
        in_turn(rounds, ways)
    return {name: all_of_it[1:] for name, all_of_it in seen.items()}


def against(
    lanes: int, loop: BareLoop, ours: list[Batch], bare: list[Batch], verbs: str
) -> Iterator[Figure]:
    """Latency and throughput beside one loop."""
    where = f"{lanes} at once, beside a {loop.limit_is}"
    if loop.has_parts:
        of: Callable[[Batch], float] = lambda batch: batch.calls_s * 1e3  # noqa: E731
        yield _figure(f"{verbs}, {where}", "ms", map(of, ours), map(of, bare), loop)
    else:
        whole: Callable[[Batch], float] = lambda batch: batch.whole_s * 1e3  # noqa: E731
        yield _figure(f"create to gone, {where}", "ms", map(whole, ours), map(whole, bare), loop)
    per_s: Callable[[Batch], float] = lambda batch: batch.per_s  # noqa: E731
    yield _figure(f"lifecycles, {where}", "1/s", map(per_s, ours), map(per_s, bare), loop)


def _figure(
    case: str, unit: str, ours: Iterator[float], bare: Iterator[float], loop: BareLoop
) -> Figure:
    mine, limits = list(ours), list(bare)
    found = medians({"mine": mine, "limit": limits})
    faster = unit == "1/s"
    low, high = ratio_interval(limits, mine) if faster else ratio_interval(mine, limits)
    holds_it = loop.budget is not None and low <= loop.budget <= high
    is_decided = not holds_it and len(mine) >= ROUNDS_FOR_A_VERDICT
    word = f"; too noisy to tell whether it is within {loop.budget:g}" if holds_it else ""
    return Figure(
        case,
        found["mine"],
        unit,
        found["limit"],
        loop.limit_is,
        loop.budget if is_decided else None,
        higher_is_better=faster,
        note=f"95 % interval of the ratio {low:.3f} to {high:.3f}, {len(mine)} rounds{word}",
    )
