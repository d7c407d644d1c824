"""What an experiment works with: driver, clock, plan and recorder of one trial."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from contract.rows import InstanceRow, Rows, Sample
from contract.trial import Trial
from workers.clock import Clock
from workers.drivers.base import AnyDriver, InstanceSpec
from workers.meeting import Meeting, Release
from workers.ownership import Owner


class Recorder:
    """Rows of a running trial, each also appended to a write-ahead file as it becomes final.

    The file is JSON lines, so a trial that is killed still shows what it had.
    """

    def __init__(self, wal: Path | None = None) -> None:
        self.rows = Rows()
        self._path = wal
        self._wal: IO[str] | None = None
        if wal is not None:
            wal.parent.mkdir(parents=True, exist_ok=True)
            self._wal = wal.open("w", encoding="utf-8")

    def plan(self, rows: list[InstanceRow]) -> None:
        """Announce all instances, so that each has its row however the trial ends."""
        self.rows.instances.extend(rows)
        self._append("planned", len(rows))

    def finish(self, row: InstanceRow) -> None:
        """A row that was planned is now final."""
        self._append("instance", row)

    def pass_over(self, rows: list[InstanceRow], error_class: str, error_text: str) -> None:
        """Planned rows stay as they are, skipped, for one reason. One line, however many they are."""
        for row in rows:
            row.error_class, row.error_text = error_class, error_text
        self._append("passed_over", len(rows))

    def sample(self, sample: Sample) -> None:
        """Note one observation."""
        self.rows.samples.append(sample)
        self._append("sample", sample)

    def close(self) -> None:
        """Let go of the write-ahead file."""
        if self._wal is not None:
            self._wal.close()
            self._wal = None

    def discard(self) -> None:
        """Remove the write-ahead file: the trial has its part, or none is wanted."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _append(self, kind: str, content: InstanceRow | Sample | int) -> None:
        if self._wal is not None:
            plain = content if isinstance(content, int) else asdict(content)
            self._wal.write(json.dumps({kind: plain}) + "\n")
            self._wal.flush()


@dataclass(slots=True)
class Bench:
    """One trial's workplace."""

    trial: Trial
    driver: AnyDriver
    owner: Owner
    clock: Clock
    recorder: Recorder
    params: Any
    """The experiment's own Params."""
    rng: random.Random
    meeting: Meeting
    """With the hosts that measure this trial together."""
    drop_caches: Callable[[], Awaitable[None]] | None = None
    """Empties the host's page cache; None where that is not possible."""
    findings: dict[str, Any] = field(default_factory=dict)
    """What the experiment found that is no number: a stop reason, a limiting resource. JSON values; they
    become ``findings`` among the trial's facts."""
    voids: list[str] = field(default_factory=list)
    """Why the experiment itself finds that its trial must not be believed."""
    begun_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The measured section begins now: stamps count from here."""
        self.begun_ns = self.clock.now_ns()

    def now(self) -> int:
        """Nanoseconds since the trial began: the only source of stamps."""
        return self.clock.now_ns() - self.begun_ns

    def void(self, why: str) -> None:
        """The trial's verdict will be invalid, for this reason."""
        self.voids.append(why)

    def stamp_of(self, release: Release) -> int:
        """A moment that was agreed upon with other hosts, as a stamp."""
        return release.at_ns - self.begun_ns

    async def sleep_until(self, t_ns: int) -> None:
        """Sleep until a stamp; return at once when it has passed."""
        await asyncio.sleep(max(0, t_ns - self.now()) / 1e9)

    def spec(self, index: int, *, revived: bool = False) -> InstanceSpec:
        """The instance number ``index`` of this trial, perhaps under the engine's restart policy."""
        return InstanceSpec(
            index=index,
            name=self.owner.instance_name(index),
            image=self.trial.image,
            nonce=f"{self.rng.getrandbits(64):016x}",
            limits=self.trial.limits,
            revived=revived,
        )
