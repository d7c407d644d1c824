"""Many tests in one answer: p-values adjusted so that the whole answer errs in 5 % at most."""

from collections.abc import Sequence


def weighted_holm(p_values: Sequence[float | None], weights: Sequence[float]) -> list[float | None]:
    """Adjusted p-values when some tests matter more: the weighted step-down procedure.

    Tests are taken by p / weight; each p is multiplied by the weight that is left over its own (Holm,
    Scandinavian Journal of Statistics 6, 1979, §4). With equal weights this is Holm's usual procedure.
    Weights must be above 0. A test without a p-value takes no part.
    """
    known = sorted((p / weights[i], i) for i, p in enumerate(p_values) if p is not None)
    left = sum(weights[i] for _, i in known)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for scaled, index in known:
        floor = max(floor, min(1.0, scaled * left))
        adjusted[index] = floor
        left -= weights[index]
    return adjusted
