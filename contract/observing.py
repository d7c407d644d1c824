"""What an operator may want to see of a worker or a coordinator: log, metrics, Celery's events."""

import re
from pathlib import Path

from contract.campaign import Frozen
from contract.errors import UseError
from contract.log_lines import LogSettings


def parse_address(text: str) -> tuple[str, int]:
    """Address and port to listen on; the loopback where only a port is given. Raises UseError."""
    found = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):)?([0-9]{1,5})", text)
    if found is None or int(found[2]) > 65535:
        raise UseError(
            f"--metrics: found '{text}'; allowed: a port such as 9464, which only this machine reaches, "
            "or ADDRESS:PORT"
        )
    return (found[1] or "127.0.0.1").strip("[]"), int(found[2])


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
