"""What the host's operator lets campaigns do here: a YAML file that no campaign can overrule."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from contract.campaign import Frozen, Limits, Place, Scalar
from contract.errors import CampaignError, MessageError, PolicyRefused
from contract.places import lies_in
from contract.trial import Trial
from contract.yaml_source import load_yaml
from workers.gauge import Gauge, read_gauge


class Policy(Frozen):
    """All rules. Without a file everything is allowed that the drivers allow."""

    drivers: tuple[str, ...] | None = Field(None, description="drivers that may be used")
    experiments: tuple[str, ...] | None = Field(None, description="experiments that may be run")
    images: tuple[str, ...] | None = Field(None, description="images, as patterns with * and ?")
    commands: tuple[str, ...] | None = Field(
        None, description="commands of 'work: command', as patterns with * and ?; [] is none"
    )
    settings: dict[str, dict[str, tuple[Scalar, ...]]] = Field(
        {}, description="values that a driver's settings may have"
    )
    results_roots: tuple[Place, ...] | None = Field(
        None, description="places that parts may go to, or into; [] is through the broker only"
    )
    max_instances: int | None = Field(None, ge=1, description="instances that a trial may plan")
    max_deadline_s: float | None = Field(None, gt=0, description="longest deadline of a trial, seconds")
    max_cpus: float | None = Field(None, gt=0, description="largest CPU limit of an instance")
    max_memory_mib: int | None = Field(None, ge=1, description="largest memory limit of an instance")
    max_image_mib: int | None = Field(
        None, ge=1, description="largest image that a deployment may generate"
    )
    limits_required: bool = Field(False, description="instances must have CPU and memory limits")
    min_available_mib: int | None = Field(
        None, ge=0, description="memory that must be available before a trial, MiB"
    )

    def check(self, trial: Trial, planned: int, gauge: Gauge | None = None) -> None:
        """See that a trial with ``planned`` instances is allowed. Raises PolicyRefused with the rule."""
        self._check_names(trial)
        self._check_settings(trial)
        self._check_sizes(trial, planned)
        if self.min_available_mib is not None and gauge is not None:
            available = gauge.mem_available_bytes // 2**20
            _see(
                "min_available_mib",
                self.min_available_mib,
                available >= self.min_available_mib,
                available,
            )

    def check_place(self, place: str) -> None:
        """See that parts may go to the place that an order names. Raises PolicyRefused with the rule."""
        allowed = self.results_roots
        fine = not place or allowed is None or any(root and lies_in(place, root) for root in allowed)
        _see("results_roots", allowed, fine, place)

    def _check_names(self, trial: Trial) -> None:
        for rule, value in (("drivers", trial.driver), ("experiments", trial.experiment)):
            allowed = getattr(self, rule)
            _see(rule, allowed, allowed is None or value in allowed, value)
        fits = self.images is None or any(fnmatchcase(trial.image, p) for p in self.images)
        _see("images", self.images, fits, trial.image)
        command = trial.params.get("command")
        if command is not None:
            runs = self.commands is None or any(fnmatchcase(str(command), p) for p in self.commands)
            _see("commands", self.commands, runs, command)

    def _check_settings(self, trial: Trial) -> None:
        for name, allowed in self.settings.get(trial.driver, {}).items():
            value = trial.settings.get(name)
            _see(f"settings.{trial.driver}.{name}", allowed, value in allowed, value)

    def _check_sizes(self, trial: Trial, planned: int) -> None:
        # Neighbours that are not 'limited' have none of the trial's limits.
        limits = Limits() if trial.params.get("limited") is False else trial.limits
        size_mib = trial.params.get("size_mib")
        complete = limits.cpus is not None and limits.memory_mib is not None
        _see("limits_required", "true", complete or not self.limits_required, "no limit")
        for rule, most, value in (
            ("max_instances", self.max_instances, planned),
            ("max_deadline_s", self.max_deadline_s, trial.deadline_s),
            ("max_cpus", self.max_cpus, limits.cpus),
            ("max_memory_mib", self.max_memory_mib, limits.memory_mib),
            ("max_image_mib", self.max_image_mib, size_mib if isinstance(size_mib, int) else 0),
        ):
            # Where a size is bounded, one without a bound is too large.
            _see(rule, most, most is None or (value is not None and value <= most), value)


def load_policy(path: Path | None) -> Policy:
    """The operator's policy; everything goes without a file.

    Raises PolicyRefused for a file that cannot be used: a rule that cannot be read must not fall away.
    """
    if path is None:
        return Policy()
    try:
        source = load_yaml(path)
        if not isinstance(source.data, dict):
            raise source.error((), source.data, "a mapping of rules")
        try:
            return Policy.model_validate(source.data)
        except ValidationError as error:
            raise source.refuse(error, Policy) from error
    except CampaignError as error:
        raise PolicyRefused(
            f"this host's policy cannot be read, so nothing is allowed: {error}"
        ) from error


def see_that_it_is_allowed(path: Path | None, trial: Trial, planned: int) -> None:
    """Raises PolicyRefused. Read anew for every trial: an operator's change counts at once."""
    policy = load_policy(path)
    gauge = read_gauge() if policy.min_available_mib is not None else None
    policy.check(trial, planned, gauge)


def see_that_it_may_go_there(path: Path | None, place: str) -> None:
    """Raises MessageError for an order whose part would go where this host's operator lets none go.

    Not a record as other rules make it: that would have to be delivered too.
    """
    try:
        load_policy(path if place else None).check_place(place)
    except PolicyRefused as error:
        raise MessageError(str(error), cause="policy") from error


def _see(rule: str, allowed: object, fine: bool, found: Any) -> None:
    if not fine:
        said = ", ".join(map(str, allowed)) if isinstance(allowed, tuple) else allowed
        raise PolicyRefused(f"this host's policy: rule '{rule}' allows {said or 'nothing'}, not {found}")
