"""The results folder of one campaign: frozen campaign file, parts, dataset, report. State = files."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import PartError, ResultsError
from contract.part_names import last_parts, list_parts, part_name
from orchestrator.outline import Outline, read_outline
from orchestrator.received import End, end_in, end_told, note_ends, read_ends

if TYPE_CHECKING:  # what reads and writes parts is not imported to count them
    from contract.parts import Part, TrialRecord
    from contract.trial import Receipt, Trial


class Results:
    """Where a campaign's parts are gathered, on the coordinator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = folder / "parts"
        self.dataset = folder / "dataset"
        self.report = folder / "report"
        self.received = folder / "received.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one coordinator. Raises ResultsError when it is held or unwritable."""
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
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

    def freeze(self, campaign_text: str, trials: "tuple[Trial, ...]") -> None:
        """Keep the campaign as it was read, and the plan that came of it.

        Raises ResultsError when that cannot be written, or would go over a later release's plan.
        """
        from orchestrator.plan_file import plan_text, refuse_newer

        try:
            refuse_newer(self.folder / "plan.json")
            _replace(self.folder / "campaign.yaml", campaign_text)
            _replace(self.folder / "plan.json", plan_text(trials))
        except OSError as error:
            raise ResultsError(f"{self.folder} cannot be written: {error.strerror}") from error
        except ValueError as error:
            raise ResultsError(f"{self.folder} is another release's: {error}") from error

    def planned(self) -> "tuple[Trial, ...]":
        """The plan of the last run. Raises ResultsError when there is none."""
        from orchestrator.plan_file import read_plan

        try:
            return read_plan(self.folder / "plan.json")
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise _no_campaign(self.folder, error) from error

    def plan_written(self) -> tuple[int, int] | None:
        """What tells one writing of the plan from another; None when there is none."""
        try:
            status = (self.folder / "plan.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def outline(self) -> Outline:
        """The same in short, many times faster."""
        try:
            return read_outline(self.folder / "plan.json")
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise _no_campaign(self.folder, error) from error

    def attempts(self) -> dict[str, tuple[int, ...]]:
        """Which trials have parts, and of which attempts. One listing."""
        return list_parts(self.parts)

    def last_parts(self) -> dict[str, str]:
        """Which trials have parts, and the name of each one's last."""
        return last_parts(self.parts)

    def store(self, name: str, data: bytes) -> None:
        """Publish a part that has come in, and note how its trial ended."""
        self._publish({name: data}, [(name, data, end_in(data))])

    def keep(self, came: "Sequence[tuple[Receipt, bytes]]") -> None:
        """The same for parts that have come in together, with their receipts."""
        named = [(part_name(r.trial_id, r.attempt), r, data) for r, data in came]
        ends = [(name, data, end_told(receipt, data)) for name, receipt, data in named]
        self._publish({name: data for name, _, data in named}, ends)

    def _publish(self, parts: dict[str, bytes], ends: Sequence[tuple[str, bytes, End | None]]) -> None:
        from contract.parts import store_parts

        store_parts(self.parts, parts)
        with suppress(OSError):  # a hint, and no more: whoever reads the part finds out
            note_ends(self.received, {n: (len(data), end) for n, data, end in ends if end is not None})

    def ends(self) -> dict[str, End]:
        """How trials ended, by name of part, as far as it was noted when the part came in."""
        return read_ends(self.received, self.parts)

    def read(self, trial_id: str, attempt: int) -> "Part":
        """Read and verify a part. A damaged one is set aside and PartError raised."""
        from contract.parts import read_part

        with self._setting_aside(trial_id, attempt) as data:
            part = read_part(data)
            _refuse_another(part.record, trial_id, attempt)
            return part

    def check(self, trial_id: str, attempt: int) -> "TrialRecord":
        """The record of a part whose checksums fit: as ``read``, and several times faster."""
        from contract.parts import check_part

        with self._setting_aside(trial_id, attempt) as data:
            record = check_part(data)
            _refuse_another(record, trial_id, attempt)
            return record

    @contextmanager
    def _setting_aside(self, trial_id: str, attempt: int) -> Iterator[bytes]:
        from contract.parts import MAX_PART_BYTES

        path = self.parts / part_name(trial_id, attempt)
        try:
            if path.stat().st_size > MAX_PART_BYTES:
                raise PartError(f"a part larger than {MAX_PART_BYTES} bytes")
            yield path.read_bytes()
        except PartError:
            aside = self.folder / "damaged"
            aside.mkdir(exist_ok=True)
            path.replace(aside / path.name)
            raise


def _no_campaign(folder: Path, error: Exception) -> ResultsError:
    """Why there is no plan in a folder, and what kind of folder has one."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        why = getattr(error, "strerror", None) or error
        return ResultsError(f"{folder} holds no campaign: plan.json cannot be read: {why}")
    found = "a file" if folder.is_file() else "no plan.json in it" if folder.is_dir() else "not there"
    return ResultsError(
        f"{folder} holds no campaign: {found}; allowed: the results folder of `tonnage run`, "
        "results/CAMPAIGN where nothing else was said"
    )


def _refuse_another(record: "TrialRecord", trial_id: str, attempt: int) -> None:
    if (record.trial.trial_id, record.attempt) != (trial_id, attempt):
        raise PartError("a part under another's name")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
