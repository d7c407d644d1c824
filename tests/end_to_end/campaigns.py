"""Running the installed command on small campaigns, and reading what came of it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

TONNAGE = str(Path(sys.executable).with_name("tonnage"))


@dataclass(frozen=True)
class Ran:
    """What a run left."""

    code: int
    said: str
    """Standard output and error."""
    last_line: str
    """Of standard output."""
    results: Path

    def trials(self) -> list[dict[str, Any]]:
        """The trials table."""
        return self._rows("trials/trials.parquet")

    def instances(self) -> list[dict[str, Any]]:
        """The instances table."""
        return self._rows("instances/*/*/*.parquet")

    def _rows(self, pattern: str) -> list[dict[str, Any]]:
        table = duckdb.sql(f"select * from '{self.results / 'dataset' / pattern}'").to_arrow_table()
        return table.to_pylist()


def write_campaign(folder: Path, name: str, drivers: list[str], **rest: Any) -> Path:
    """A campaign file of one lifecycle entry; ``rest`` goes to the top, 'params' to the entry."""
    params = rest.pop("params", {"instances": 2})
    entry = {"experiment": "lifecycle", "drivers": drivers, "params": params}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"campaign": name, "blocks": 1, "experiments": [entry], **rest}))
    return path


def run(campaign: Path, *options: str, wait_s: float = 240, reported: bool = False) -> Ran:
    """``tonnage run`` to its end, bounded; without its report unless that is what is looked at."""
    results = campaign.with_suffix("")
    command = [TONNAGE, "run", str(campaign), "--results", str(results), *options]
    command += [] if reported else ["--no-report"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=wait_s)
    last_line = done.stdout.strip().rpartition("\n")[2]
    return Ran(done.returncode, done.stdout + done.stderr, last_line, results)


def left(host: str, *options: str) -> str:
    """What ``tonnage sweep --dry-run`` finds of one host."""
    command = [TONNAGE, "sweep", "--dry-run", "--host", host, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.strip()
