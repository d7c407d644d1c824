"""The fleet as the broker has it at one moment."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.signing import Keys
from orchestrator.fleet import HostEntry, read_fleet

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True, slots=True)
class FleetView:
    """The hosts at one moment, or why they are not known."""

    hosts: dict[str, HostEntry] = field(default_factory=dict)
    now_s: float = 0.0
    """The broker's clock at that moment: heartbeats are told by each host's own."""
    problem: str = ""
    read_s: float = float("-inf")


def read_view(
    client: "redis.Redis[bytes]", only: Sequence[str] | None = None, keys: Keys | None = None
) -> FleetView:
    """All hosts, or some. What the client raises is for ``contract.broker.broker_errors``."""
    hosts = read_fleet(client, only, keys)
    seconds, micros = client.time()
    return FleetView(hosts, seconds + micros / 1e6, read_s=time.monotonic())
