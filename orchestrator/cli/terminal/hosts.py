"""The hosts of a campaign, those that need a person first."""

from collections import Counter
from dataclasses import dataclass

from orchestrator.cli.terminal.facts import Facts
from orchestrator.cli.views.host_rows import HostRow, host_row
from orchestrator.cli.views.words import span
from orchestrator.standing import HostStanding

FINE = ("busy", "idle")
NOT_REGISTERED = "not registered"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host's share of the campaign, and what the broker knows of the host."""

    name: str
    standing: HostStanding
    state: str
    """Empty where no broker was asked, or it does not answer."""
    row: HostRow | None
    now: str
    """What it is at, or why it is at nothing."""

    @property
    def is_away(self) -> bool:
        """Whether it takes no trials."""
        return self.state not in (*FINE, "")

    @property
    def clock_is_off(self) -> bool:
        """Whether its clock differs much from the broker's."""
        return self.row is not None and self.row.clock_is_off

    @property
    def failed(self) -> int:
        """Its trials that ended otherwise than completed."""
        return self.standing.outcomes.total() - self.standing.outcomes["completed"]


def hosts_of(facts: Facts) -> list[HostFacts]:
    """All hosts: those that are away, whose clock is off, with failures, and with most left first."""
    found = [_host(facts, name, one) for name, one in facts.standing.hosts.items()]
    found.sort(
        key=lambda host: (
            not (host.is_away and host.standing.left),
            not host.is_away,
            not host.clock_is_off,
            -host.failed,
            -host.standing.left,
            host.name,
        )
    )
    return found


def states_in_words(hosts: list[HostFacts]) -> str:
    """How many hosts are in which state: ``3 stale, 990 busy, 7 idle``; empty where nobody knows."""
    counts = Counter(host.state for host in hosts if host.state)
    bad = sorted(state for state in counts if state not in FINE)
    return ", ".join(f"{counts[state]:,} {state}" for state in (*bad, *FINE) if counts[state])


def _host(facts: Facts, name: str, standing: HostStanding) -> HostFacts:
    fleet = facts.fleet
    if fleet is None or fleet.problem:
        return HostFacts(name, standing, "", None, "")
    entry = fleet.hosts.get(name)
    if entry is None:
        return HostFacts(name, standing, NOT_REGISTERED, None, "")
    row = host_row(entry, fleet.now_s)
    return HostFacts(name, standing, row.state, row, _now(facts, row))


def _now(facts: Facts, row: HostRow) -> str:
    if row.why:
        return row.why
    if row.state == "stale":
        return "no heartbeat"
    if not row.measuring:
        return ""
    elsewhere = "" if row.trial_id in facts.trials else " (another campaign)"
    return f"{row.measuring} for {span(row.since_s)}{elsewhere}"
