"""Parts in a place that all hosts and the coordinator reach: a shared folder, or S3.

Without one, parts travel inside completion records on the broker. With one, a record carries only the
receipt, whose checksum is that of the file.
"""

from abc import ABC, abstractmethod
from pathlib import Path

from contract.errors import PartError, ResultsError
from contract.parts import MAX_PART_BYTES, is_part_name, list_parts, store_part


class SharedParts(ABC):
    """The parts of one campaign. All methods raise ResultsError when the place does not answer."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Store a part. Whole or not at all; again is harmless."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """The bytes of a part. Raises PartError when it is not there."""

    @abstractmethod
    def list(self) -> dict[str, tuple[int, ...]]:
        """Trials that have parts there, with their attempts in order."""


def shared_parts(place: str, campaign: str) -> SharedParts:
    """The parts of a campaign at ``place``, which ``contract.places`` has let pass."""
    if place.startswith("/"):
        return _FolderParts(Path(place) / campaign / "parts")
    return _ObjectParts(place, campaign)


class _FolderParts(SharedParts):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        store_part(self._folder, name, data)

    def get(self, name: str) -> bytes:
        try:
            path = self._folder / name
            if path.stat().st_size > MAX_PART_BYTES:
                raise PartError(f"{self._folder}: {name} is larger than a part may be")
            return path.read_bytes()
        except FileNotFoundError as error:
            raise PartError(f"{self._folder}: there is no {name}") from error
        except OSError as error:
            raise ResultsError(f"{self._folder}: {name} cannot be read: {error.strerror}") from error

    def list(self) -> dict[str, tuple[int, ...]]:
        return list_parts(self._folder)


class _ObjectParts(SharedParts):
    """Objects of an S3 service. A completed put is atomic, so nothing is renamed.

    A part of ordinary size is one request to put, two to get (the size is asked first); a listing is one
    per thousand objects.
    """

    def __init__(self, place: str, campaign: str) -> None:
        from pyarrow.fs import FileSystem

        self._place = place.partition("?")[0]
        try:
            self._files: FileSystem
            joined = "&" if "?" in place else "?"  # else every put would be one of several requests
            self._files, prefix = FileSystem.from_uri(f"{place}{joined}allow_delayed_open=true")
        except (OSError, ValueError) as error:
            raise ResultsError(f"{self._place}: {error}") from error
        self._prefix = f"{prefix.rstrip('/')}/{campaign}/parts"

    def put(self, name: str, data: bytes) -> None:
        try:
            with self._files.open_output_stream(f"{self._prefix}/{name}") as stream:
                stream.write(data)
        except OSError as error:
            raise self._told(error, "a part cannot be written") from error

    def get(self, name: str) -> bytes:
        try:
            with self._files.open_input_file(f"{self._prefix}/{name}") as file:
                if file.size() > MAX_PART_BYTES:
                    raise PartError(f"{self._place}: {name} is larger than a part may be")
                data: bytes = file.read()
                return data
        except FileNotFoundError as error:
            raise PartError(f"{self._place}: there is no {name}") from error
        except OSError as error:
            raise self._told(error, f"{name} cannot be read") from error

    def list(self) -> dict[str, tuple[int, ...]]:
        from pyarrow.fs import FileSelector

        try:
            found = self._files.get_file_info(FileSelector(self._prefix, allow_not_found=True))
        except OSError as error:
            raise self._told(error, "it cannot be listed") from error
        parts: dict[str, list[int]] = {}
        for info in found:
            if named := is_part_name(info.base_name):
                parts.setdefault(named[0], []).append(named[1])
        return {trial: tuple(sorted(attempts)) for trial, attempts in parts.items()}

    def _told(self, error: OSError, doing: str) -> ResultsError:
        return ResultsError(f"{self._place}: {doing}: {error}")
