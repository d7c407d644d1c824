"""A file of the host that an instance has no business with: can it be read from inside by its path?"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.errors import EngineError
from workers.ownership import Owner

_OWNER_FILE = "owner.json"
_MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Marker:
    """A file that this worker has just made, with random name and content."""

    path: Path
    sha256: str


@contextmanager
def marked(state_dir: Path, owner: Owner) -> Iterator[Marker]:
    """Make a marker that anyone on the host may read, and remove it at the end.

    Its folder lies among those of bare processes and says whose it is: what a worker that was killed
    leaves is found and removed by that driver's sweep. Raises EngineError when it cannot be made.
    """
    top = state_dir / "process"
    folder = top / f"{owner.name_prefix}{_MARKER}-{secrets.token_hex(8)}"
    content = secrets.token_hex(32).encode()
    try:
        folder.mkdir(parents=True)
        (folder / _OWNER_FILE).write_text(json.dumps(owner.labels()))
        path = folder / _MARKER
        path.write_bytes(content)
        folder.chmod(0o755)
        path.chmod(0o644)
        yield Marker(path, hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise EngineError(f"no file can be made in {top}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
