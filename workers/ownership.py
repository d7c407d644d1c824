"""Who made a thing. Written into the engine itself on everything created, and read back by sweep."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

LABEL_PREFIX = "tonnage."
NAME_PREFIX = "tonnage-"


@dataclass(frozen=True, slots=True)
class Owner:
    """The trial, on the host, under the worker that made a thing."""

    host: str
    campaign: str
    trial: str
    attempt: int
    boot: str
    """Id of the worker's process life, new at each start."""

    def labels(self) -> dict[str, str]:
        """Labels for engines that have labels; also environment and metadata of those without."""
        return {LABEL_PREFIX + key: str(value) for key, value in asdict(self).items()}

    def instance_name(self, index: int) -> str:
        """Name of an instance, unique on the machine."""
        return f"{self.name_prefix}{index}"

    @property
    def name_prefix(self) -> str:
        """How the names of all instances of this attempt begin."""
        return f"{NAME_PREFIX}{self.trial[:12]}-{self.attempt}-"


def owner_from_labels(labels: Mapping[str, str]) -> Owner | None:
    """The owner that labels speak of, or None when the thing is not ours."""
    found = {k.removeprefix(LABEL_PREFIX): v for k, v in labels.items() if k.startswith(LABEL_PREFIX)}
    try:
        attempt = int(found["attempt"])
        return Owner(found["host"], found["campaign"], found["trial"], attempt, found["boot"])
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A thing of ours that is still there: what sweep lists and removes."""

    driver: str
    kind: str
    """container, domain, disk, socket, process, cgroup, folder …"""
    name: str
    """Enough for its driver to find it again."""
    host: str
    """Host name of its owner."""
