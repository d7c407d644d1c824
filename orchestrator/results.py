"""The results folder of one campaign: frozen campaign file, parts, dataset, report. State = files."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contract.errors import PartError, ResultsError
from contract.parts import Part, list_parts, part_name, read_part, store_part, store_parts
from contract.trial import Receipt, Trial
from orchestrator.ends import End, note_ends, read_ends
from orchestrator.outline import Outline, outline_of, read_outline, write_outline


class Results:
    """Where a campaign's parts are gathered, on the coordinator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = folder / "parts"
        self.dataset = folder / "dataset"
        self.report = folder / "report"
        self._plan = folder / "plan.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one coordinator. Raises ResultsError when it is held or unwritable."""
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ResultsError(
                f"results folder {self.folder} cannot be written: {error.strerror}; choose another "
                "with --results"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise ResultsError(
                f"another coordinator is at work on {self.folder}; wait for it or choose --results"
            ) from error
        try:
            for half_written in self.parts.glob(".*.part.*"):  # of a coordinator that was killed
                half_written.unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)

    def freeze(self, campaign_text: str, trials: tuple[Trial, ...]) -> None:
        """Keep the campaign as it was read, and the plan that came of it, a trial per line."""
        try:
            _replace(self.folder / "campaign.yaml", [campaign_text])
            _replace(self._plan, _plan_lines(trials))
            write_outline(self._plan, outline_of(trials, self.folder.name))
        except OSError as error:
            raise ResultsError(f"{self.folder} cannot be written: {error.strerror}") from error

    def planned(self) -> tuple[Trial, ...]:
        """The plan of the last run. Raises ResultsError when there is none."""
        try:
            plan = json.loads(self._plan.read_text(encoding="utf-8"))
            for trial in plan:
                del trial["trial_id"]
            return tuple(Trial.model_validate(trial) for trial in plan)
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise ResultsError(f"{self.folder} holds no campaign: {error}") from error

    def outline(self) -> Outline:
        """What the plan of the last run has for which host. Raises ResultsError when there is none."""
        return read_outline(self._plan) or outline_of(self.planned(), self.folder.name)

    def attempts(self) -> dict[str, tuple[int, ...]]:
        """Which trials have parts, and of which attempts. One listing."""
        return list_parts(self.parts)

    def store(self, name: str, data: bytes) -> None:
        """Publish a part that has come in."""
        store_part(self.parts, name, data)

    def keep(self, came: Sequence[tuple[Receipt, bytes]]) -> None:
        """Publish parts that have come in together, and write down how their trials ended."""
        store_parts(self.parts, {part_name(r.trial_id, r.attempt): data for r, data in came})
        note_ends(self.folder, came)

    def ends(self) -> dict[str, End]:
        """How the trials of parts ended, by the part's name, as far as it was written down."""
        return read_ends(self.folder)

    def read(self, trial_id: str, attempt: int) -> Part:
        """Read and verify a part. A damaged one is set aside and PartError raised."""
        path = self.parts / part_name(trial_id, attempt)
        try:
            part = read_part(path.read_bytes())
            if (part.record.trial.trial_id, part.record.attempt) != (trial_id, attempt):
                raise PartError("a part under another's name")
        except PartError:
            aside = self.folder / "damaged"
            aside.mkdir(exist_ok=True)
            path.replace(aside / path.name)
            raise
        return part


def _plan_lines(trials: tuple[Trial, ...]) -> Iterator[str]:
    """The plan as JSON, piece by piece: as one text it would take several times its size."""
    yield "["
    for place, trial in enumerate(trials):
        content = {"trial_id": trial.trial_id} | trial.model_dump(mode="json")
        yield (",\n" if place else "\n") + json.dumps(content)
    yield "\n]\n"


def _replace(path: Path, pieces: Iterable[str]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
    temporary.replace(path)
