"""``--only KEY=VALUE``: a choice among planned trials."""

from collections.abc import Callable, Sequence

from contract.errors import UseError
from contract.trial import Trial

KEYS = ("experiment", "driver", "profile", "host", "block", "trial")


def chooser(pairs: Sequence[str]) -> Callable[[Trial], bool]:
    """Which trials are meant: of one key any value will do, and all keys must fit. Raises UseError."""
    wanted: dict[str, set[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in KEYS or not equals or not value:
            raise UseError(f"--only: found {pair!r}; allowed: KEY=VALUE with one of {', '.join(KEYS)}")
        wanted.setdefault(key, set()).add(value)

    def is_meant(trial: Trial) -> bool:
        return all(_value(trial, key) in values for key, values in wanted.items())

    return is_meant


def _value(trial: Trial, key: str) -> str:
    return trial.trial_id if key == "trial" else str(getattr(trial, key))
