"""Commands that were started from a page: processes of their own, with a log, that outlive the server.

Everything about one lies in ``RESULTS_ROOT/.serve``: ``ID.json`` says what it is, ``ID.log`` is what it
said. A server that starts later finds it there, and whether its process still lives.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from contract.errors import ResultsError, UseError
from orchestrator.cli.serving.settings import ServeSettings

FOLDER = ".serve"
MOST_LOG_BYTES = 64_000
"""Of a log, its end is shown."""
MOST_JOBS = 200
"""Older ones that have ended are forgotten."""
MOST_AT_ONCE = 8
LOOKED_AT_EVERY_S = 1.0
"""How often the log of a running one is looked at for those who see its page."""

Kind = Literal["run", "cancel", "report", "sweep"]
_PROGRAM = (sys.executable, "-c", "from orchestrator.cli import main; main()")
_ID = re.compile(r"^\d{10}-[0-9a-f]{8}\Z")


@dataclass(frozen=True, slots=True)
class Job:
    """One command that was started."""

    job_id: str
    kind: Kind
    subject: str
    """The campaign's results folder, or the host that it is about; empty for all hosts."""
    words: tuple[str, ...]
    """What stands behind ``tonnage``."""
    started_s: float
    pid: int
    pid_began: int
    """When that process began, so that another one of the same number is not taken for it."""
    dry_run: bool = False
    code: int | None = None
    """Exit code, as far as a server was there to see it."""
    running: bool = False


class Jobs:
    """The jobs of one results root, which use the broker and the keys that the server uses."""

    def __init__(self, settings: ServeSettings, changed: Callable[[str], None]) -> None:
        self._folder = settings.results_root / FOLDER
        self._settings, self._changed = settings, changed
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, kind: Kind, subject: str, words: Sequence[str], *, dry_run: bool = False) -> Job:
        """Start ``tonnage WORDS``. Raises UseError when too many run, ResultsError without a log."""
        with self._lock:
            if sum(self._lives(job) for job in self._all()) >= MOST_AT_ONCE:
                raise UseError(f"{MOST_AT_ONCE} commands are running already; wait for one to end")
            job_id = f"{int(time.time()):010d}-{secrets.token_hex(4)}"
            process = self._spawn(job_id, words)
            began = _began(process.pid)
            job = Job(job_id, kind, subject, tuple(words), time.time(), process.pid, began, dry_run)
            self._processes[job_id] = process
            self._write(job)
        waiting = threading.Thread(target=self._await, args=(job, process), daemon=True)
        waiting.start()
        self._changed("jobs")
        return job

    def _spawn(self, job_id: str, words: Sequence[str]) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        environment.pop("TONNAGE_TOKEN_FILE", None)
        environment["PYTHONUNBUFFERED"] = "1"  # into a file Python writes in blocks, and the page waits
        if self._settings.broker is not None:  # not among the words, which every user here can see
            environment["TONNAGE_BROKER"] = self._settings.broker
        if self._settings.keys is not None:
            environment["TONNAGE_KEYS"] = str(self._settings.keys)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._forget_old()
            with (self._folder / f"{job_id}.log").open("wb") as log:
                return subprocess.Popen(  # noqa: S603 - words are ours, names are checked
                    [*_PROGRAM, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise ResultsError(f"{self._folder}: nothing can be started: {error.strerror}") from error

    def _await(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        code, said = None, 0
        while code is None:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(LOOKED_AT_EVERY_S)
            if said != (now := self._said_bytes(job.job_id)):
                said = now
                self._changed(f"job:{job.job_id}")
        with self._lock:
            self._processes.pop(job.job_id, None)
            with suppress(OSError):
                self._write(job, code)
        self._changed("jobs")
        self._changed(f"job:{job.job_id}")
        self._changed(f"campaign:{job.subject}")

    def _said_bytes(self, job_id: str) -> int:
        try:
            return (self._folder / f"{job_id}.log").stat().st_size
        except OSError:
            return 0

    def job(self, job_id: str) -> Job:
        """One job as it is now. Raises UseError for an unknown id."""
        try:
            if not _ID.match(job_id):
                raise ValueError
            content = json.loads((self._folder / f"{job_id}.json").read_text(encoding="utf-8"))
            job = Job(**content | {"words": tuple(content["words"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UseError(f"no command '{job_id}' was started here") from error
        return Job(**asdict(job) | {"running": self._lives(job)})

    def log(self, job_id: str) -> str:
        """The end of what it has said."""
        self.job(job_id)
        try:
            with (self._folder / f"{job_id}.log").open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - MOST_LOG_BYTES))
                return stream.read().decode(errors="replace")
        except OSError:
            return ""

    def latest(self, *kinds: Kind, most: int = 20) -> list[Job]:
        """The jobs of some kinds, the latest first."""
        return [job for job in self._all() if job.kind in kinds][:most]

    def of(self, subject: str, most: int = 5) -> list[Job]:
        """The jobs of one campaign, the latest first."""
        return [job for job in self._all() if job.subject == subject and job.kind != "sweep"][:most]

    def stop(self, job: Job) -> bool:
        """Ask a running one to stop after its trial, as Ctrl-C would; whether it was still there."""
        if _began(job.pid) != job.pid_began or not job.pid_began:
            return False
        with suppress(ProcessLookupError):
            os.kill(job.pid, signal.SIGTERM)
            return True
        return False

    def _all(self) -> list[Job]:
        try:
            names = sorted((path.stem for path in self._folder.glob("*.json")), reverse=True)
        except OSError:
            return []
        found = []
        for name in names[:MOST_JOBS]:
            with suppress(UseError):
                found.append(self.job(name))
        return found

    def _lives(self, job: Job) -> bool:
        if job.job_id in self._processes:
            return self._processes[job.job_id].poll() is None
        return job.code is None and _began(job.pid) == job.pid_began != 0

    def _write(self, job: Job, code: int | None = None) -> None:
        content = asdict(job) | {"code": code, "running": False}
        temporary = self._folder / f".{job.job_id}"
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(self._folder / f"{job.job_id}.json")

    def _forget_old(self) -> None:
        for job in self._all()[MOST_JOBS - 1 :]:
            if not job.running:
                for ending in ("json", "log"):
                    (self._folder / f"{job.job_id}.{ending}").unlink(missing_ok=True)


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did (proc(5), field 22); 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *rest = text.rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else int(rest[18])
