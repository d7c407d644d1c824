"""``--only KEY=VALUE``: a choice among planned trials."""

from collections.abc import Sequence

from contract.errors import UseError
from contract.nearest import did_you_mean
from contract.trial import Trial, members

KEYS = ("experiment", "driver", "profile", "host", "block", "trial")
_MOST_SHOWN = 10


class Choice:
    """Which trials are meant: of one key any value will do, and all keys must fit; no pairs mean all."""

    def __init__(self, pairs: Sequence[str] = ()) -> None:
        """Raises UseError for what is no pair."""
        self._pairs = tuple(pairs)
        self._wanted: dict[str, set[str]] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if key not in KEYS or not equals or not value:
                hint = did_you_mean(key, KEYS)
                raise UseError(
                    f"--only: found {pair!r}; allowed: KEY=VALUE with one of {', '.join(KEYS)}{hint}"
                )
            self._wanted.setdefault(key, set()).add(value)

    def __call__(self, trial: Trial) -> bool:
        """Whether a trial is meant."""
        return all(_fits(trial, key, values) for key, values in self._wanted.items())

    def see_some(self, trials: Sequence[Trial]) -> None:
        """Refuse a choice that fits no planned trial, for nothing would be measured. Raises UseError."""
        if not self._pairs or any(map(self, trials)):
            return
        planned = [
            told for key, values in self._wanted.items() if (told := _planned(key, values, trials))
        ]
        said = " ".join(f"--only {pair}" for pair in self._pairs)
        raise UseError(
            f"{said}: no planned trial fits{'; planned: ' * bool(planned)}{'; '.join(planned)}"
        )


def _planned(key: str, values: set[str], trials: Sequence[Trial]) -> str:
    """``driver docker, process (did you mean 'docker'?)``; empty where this key is not what is wrong."""
    there = sorted({str(getattr(trial, key)) for trial in trials}) if key != "trial" else []
    if not there or values & set(there):
        return ""
    more = ", …" if len(there) > _MOST_SHOWN else ""
    return f"{key} {', '.join(there[:_MOST_SHOWN])}{more}{did_you_mean(min(values), there)}"


def _fits(trial: Trial, key: str, values: set[str]) -> bool:
    """What hosts measure together is meant when all its hosts are named, or any one of its trials."""
    if key == "host" and trial.group:
        return set(trial.group) <= values
    if key == "trial":
        return any(of_host.trial_id in values for of_host in members(trial))
    return str(getattr(trial, key)) in values
