"""What an operator may want to see of a worker or a coordinator: log, metrics, Celery's events."""

from pathlib import Path

from contract.campaign import Frozen
from contract.log_lines import LogSettings


class MetricsSettings(Frozen):
    """Where metrics are shown; nowhere when both are empty."""

    address: str = ""
    """PORT, or ADDRESS:PORT."""
    textfile: Path | None = None
    """For node_exporter's textfile collector."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is to see them."""
        return bool(self.address) or self.textfile is not None


class Observing(Frozen):
    """All of it, for one process and its children."""

    log: LogSettings = LogSettings()
    log_wanted: bool = False
    """Whether somebody asked for a log: a run shows its progress to people else."""
    metrics: MetricsSettings = MetricsSettings()
    events: bool = False
    """Whether Celery's worker tells of its tasks and of itself, for Flower."""
