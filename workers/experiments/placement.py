"""Where the instances of a lost host go: the same answer on every survivor, with nobody to ask."""

from collections.abc import Sequence


def place(instances: int, survivors: Sequence[str], spare: int) -> list[tuple[str, bool]]:
    """For each instance, a host and whether it has room for it.

    Round robin by rank; every survivor has ``spare`` free places. What finds none stays with the host
    whose turn it is, without a place.
    """
    return [
        (survivors[number % len(survivors)], number // len(survivors) < spare)
        for number in range(instances)
    ]
