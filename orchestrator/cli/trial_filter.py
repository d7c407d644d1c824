"""``--only KEY=VALUE``: a choice among planned trials."""

from collections.abc import Callable, Sequence

from contract.errors import UseError
from contract.nearest import did_you_mean
from contract.trial import Trial, members

KEYS = ("experiment", "driver", "profile", "host", "block", "trial")


def chooser(pairs: Sequence[str]) -> Callable[[Trial], bool]:
    """Which trials are meant: of one key any value will do, and all keys must fit. Raises UseError."""
    wanted: dict[str, set[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in KEYS or not equals or not value:
            hint = did_you_mean(key, KEYS)
            raise UseError(
                f"--only: found {pair!r}; allowed: KEY=VALUE with one of {', '.join(KEYS)}{hint}"
            )
        wanted.setdefault(key, set()).add(value)

    def is_meant(trial: Trial) -> bool:
        return all(_fits(trial, key, values) for key, values in wanted.items())

    return is_meant


def _fits(trial: Trial, key: str, values: set[str]) -> bool:
    """What hosts measure together is meant when all its hosts are named, or any one of its trials."""
    if key == "host" and trial.group:
        return set(trial.group) <= values
    if key == "trial":
        return any(of_host.trial_id in values for of_host in members(trial))
    return str(getattr(trial, key)) in values
