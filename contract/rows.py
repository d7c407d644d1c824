"""The rows that a trial produces, before they become tables. The columns are ``contract.tables``'s."""

from dataclasses import dataclass, field

from contract.trial import InstanceOutcome


@dataclass(slots=True)
class InstanceRow:
    """One planned instance, or injection of a fault: a row of the ``instances`` table.

    Stamps are filled in as they happen.
    """

    instance: int
    outcome: InstanceOutcome = "skipped"
    error_class: str | None = None
    error_text: str | None = None
    ready_level: str = "reply"
    concurrency: int = 1
    residents: int = 0
    resident: bool = False
    warm_up: bool = False
    victim: int | None = None
    t_intent: int | None = None
    t_fault: int | None = None
    t_detect: int | None = None
    t_act: int | None = None
    t_pull: int | None = None
    t_pulled: int | None = None
    t_unpacked: int | None = None
    t_call: int | None = None
    t_created: int | None = None
    t_started: int | None = None
    t_beacon: int | None = None
    t_ready: int | None = None
    t_stop_call: int | None = None
    t_gone: int | None = None
    t_exited: int | None = None
    t_reclaimed: int | None = None
    guest_uptime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation. Columns of the ``samples`` table."""

    t_ns: int
    metric: str
    value: float | None
    unit: str
    instance: int | None = None
    step: int | None = None


@dataclass(slots=True)
class Rows:
    """All rows of one trial, before they become a part."""

    instances: list[InstanceRow] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
