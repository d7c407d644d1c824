"""Who takes part in a campaign on a fleet: at its beginning, and those that join later."""

from dataclasses import replace

from contract import CONTRACT_VERSION
from contract.broker import broker_errors, connect
from contract.campaign import Campaign
from contract.errors import CampaignError, UseError
from contract.trial import Trial
from orchestrator.fleet import HostEntry, read_boots, read_fleet
from orchestrator.plan import choose_hosts


class Muster:
    """The hosts of one execution. Raises BrokerError whenever the broker does not answer.

    Raises CampaignError when the campaign selects nobody, UseError when a selected host speaks another
    version.
    """

    def __init__(self, broker: str, campaign: Campaign, before: set[str]) -> None:
        self._broker = broker
        self._campaign = campaign
        self._client = connect(broker)
        self._fleet = self._look()
        known = {n: entry for n, entry in self._fleet.items() if entry.alive or n in before}
        self.hosts = choose_hosts(campaign, known)
        """Names of those who take part."""
        self._members = set(self.hosts)
        self._not_meant: dict[str, str] = {}
        """Hosts that the campaign does not select, with the boot id of the worker that said so."""
        other = [name for name in self.hosts if self._fleet[name].state == "other version"]
        if other:
            raise UseError(
                f"hosts {', '.join(other)} run another version of Tonnage; bring them to this one"
            )
        self._fleet = {name: _in_brief(entry) for name, entry in self._fleet.items()}

    def groups(self, before: tuple[Trial, ...]) -> dict[str, tuple[str, ...]]:
        """By driver, the hosts that measure together: those that can, or those of the last execution.

        Who was in a group stays in it, and who joins later stays out: another group would be another
        measurement, and what is there would not count any more. Where no host can, all are named: their
        trials are told as skipped.
        """
        drivers = sorted({driver for entry in self._fleet.values() for driver in entry.engines})
        able = {
            driver: tuple(sorted(n for n in self.hosts if self._can(n, driver)) or sorted(self.hosts))
            for driver in drivers
        }
        return able | {trial.driver: trial.group for trial in before if trial.group}

    def _can(self, name: str, driver: str) -> bool:
        entry = self._fleet[name]
        return not entry.quarantine and entry.why_not(driver) is None

    def newcomers(self) -> list[str]:
        """Hosts that the campaign selects and that have appeared since the last call.

        What was looked at and not selected is looked at again once another worker stands for it.
        """
        with broker_errors(self._broker):
            boots = read_boots(self._client, but=self._members)
            unseen = [name for name, boot in boots.items() if self._not_meant.get(name) != boot]
            seen = read_fleet(self._client, unseen)
        fresh = {name: entry for name, entry in seen.items() if _is_fit(entry)}
        try:
            joined = choose_hosts(self._campaign, fresh) if fresh else []
        except CampaignError:  # none of them is meant
            joined = []
        self._not_meant |= {n: entry.boot for n, entry in fresh.items() if n not in joined}
        if joined:
            self._fleet |= {name: _in_brief(entry) for name, entry in self._look().items()}
            self.hosts += joined
            self._members.update(joined)
        return joined

    def why_not(self, trial: Trial) -> str | None:
        """Why a trial cannot be measured on its host; None when it can."""
        entry = self._fleet[trial.host]
        if entry.quarantine:
            return f"host '{trial.host}' is in quarantine: {entry.quarantine['why']}"
        if (
            trial.settings.get("uri") and trial.driver in entry.engines
        ):  # not where the host's own engine is: the trial finds out
            return None
        return entry.why_not(trial.driver)

    def _look(self) -> dict[str, HostEntry]:
        with broker_errors(self._broker):
            return read_fleet(self._client)


def _is_fit(entry: HostEntry) -> bool:
    return entry.alive and entry.contract == CONTRACT_VERSION and not entry.quarantine


def _in_brief(entry: HostEntry) -> HostEntry:
    """What is asked of a host once it was chosen: thousands are held for as long as a run lasts."""
    engines = {
        driver: {key: value for key, value in facts.items() if key in ("present", "reason")}
        for driver, facts in entry.engines.items()
    }
    return replace(entry, engines=engines, labels={}, facts={}, versions={}, beat={}, activity={})
