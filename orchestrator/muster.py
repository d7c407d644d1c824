"""Who takes part in a campaign on a fleet: at its beginning, and those that join later."""

from dataclasses import replace

from contract import CONTRACT_VERSION
from contract.broker import broker_errors, connect
from contract.campaign import Campaign
from contract.errors import CampaignError, UseError
from contract.signing import Keys
from contract.trial import Trial
from orchestrator.fleet import HostEntry, read_boots, read_fleet
from orchestrator.plan import choose_hosts


class Muster:
    """The hosts of one execution. Raises BrokerError whenever the broker does not answer.

    Raises CampaignError when the campaign selects nobody, UseError when a selected host speaks another
    version, takes signed orders only and there are no keys, or when no selected host can be believed.
    """

    def __init__(
        self, broker: str, campaign: Campaign, before: set[str], keys: Keys | None = None
    ) -> None:
        self._broker = broker
        self._campaign = campaign
        self._keys = keys
        self._client = connect(broker)
        self._fleet = self._look()
        known = {n: entry for n, entry in self._fleet.items() if entry.alive or n in before}
        chosen = choose_hosts(campaign, known)
        self.hosts = [name for name in chosen if not known[name].unbelieved or name in before]
        """Names of those who take part."""
        self.left_out = {n: known[n].unbelieved for n in chosen if known[n].unbelieved}
        """Hosts that the campaign selects, and why they are asked for nothing."""
        self._refuse_what_cannot_be()
        self._members = set(self.hosts)
        self._not_meant: dict[str, str] = {}
        """Hosts that the campaign does not select, with the boot id of the worker that said so."""
        self._fleet = {name: _in_brief(entry) for name, entry in self._fleet.items()}

    def _refuse_what_cannot_be(self) -> None:
        chosen = [self._fleet[name] for name in self.hosts]
        if other := [entry for entry in chosen if entry.state == "other version"]:
            names = ", ".join(entry.name for entry in other)
            spoken = {str(entry.contract or "of an earlier release") for entry in other}
            raise UseError(
                f"hosts {names} run another version of Tonnage: they speak contract version "
                f"{', '.join(sorted(spoken))}, this coordinator {CONTRACT_VERSION}; bring them to one "
                "release"
            )
        if self._keys is None and (signing := [entry.name for entry in chosen if entry.signs]):
            raise UseError(
                f"hosts that take signed orders only: {_few(signing)}; name the folder of their keys "
                "with --keys"
            )
        named = set(self._campaign.hosts.names) & set(self.left_out)
        if named or not self.hosts:
            said = [f"host '{name}': {self.left_out[name]}" for name in sorted(named or self.left_out)]
            raise UseError(f"the campaign cannot have its hosts. {_few(said)}")

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
        return not entry.quarantine and not entry.unbelieved and entry.why_not(driver) is None

    def newcomers(self) -> list[str]:
        """Hosts that the campaign selects and that have appeared since the last call.

        What was looked at and not selected is looked at again once another worker stands for it.
        """
        with broker_errors(self._broker):
            boots = read_boots(self._client, but=self._members)
            unseen = [name for name, boot in boots.items() if self._not_meant.get(name) != boot]
            seen = read_fleet(self._client, unseen, self._keys)
        fresh = {name: entry for name, entry in seen.items() if self._is_fit(entry)}
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
        if entry.unbelieved:
            return f"host '{trial.host}': {entry.unbelieved}"
        if entry.quarantine:
            return f"host '{trial.host}' is in quarantine: {entry.quarantine['why']}"
        if (
            trial.settings.get("uri") and trial.driver in entry.engines
        ):  # not where the host's own engine is: the trial finds out
            return None
        return entry.why_not(trial.driver)

    def _look(self) -> dict[str, HostEntry]:
        with broker_errors(self._broker):
            return read_fleet(self._client, keys=self._keys)

    def _is_fit(self, entry: HostEntry) -> bool:
        """Whether a host that has appeared can be asked for something."""
        can_speak = entry.contract == CONTRACT_VERSION and (self._keys is not None or not entry.signs)
        return entry.alive and can_speak and not entry.unbelieved and not entry.quarantine


def _in_brief(entry: HostEntry) -> HostEntry:
    """What is asked of a host once it was chosen: thousands are held for as long as a run lasts."""
    engines = {
        driver: {key: value for key, value in facts.items() if key in ("present", "reason")}
        for driver, facts in entry.engines.items()
    }
    return replace(entry, engines=engines, labels={}, facts={}, versions={}, beat={}, activity={})


def _few(words: list[str]) -> str:
    """The first five, and how many more."""
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
