"""The web page as tests need it: an application over a folder, a client, parts that come in."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import Response
from simulated_campaign import run_simulated
from starlette.testclient import TestClient
from trials import make_part, make_trial

from contract import CONTRACT_VERSION
from contract.trial import Trial
from orchestrator.cli.serving.app import make_app
from orchestrator.cli.serving.context import Serving
from orchestrator.cli.serving.settings import ServeSettings
from orchestrator.fleet import HostEntry
from orchestrator.results import Results

TOKEN = "a secret of enough characters"  # noqa: S105
NOW_S = 1_790_000_000.0
HERE = "http://127.0.0.1:8080"
TRIALS = tuple(make_trial(host=host, block=block) for host in ("h1", "h2") for block in range(4))
CAMPAIGN = {
    "campaign": "real",
    "blocks": 3,
    "profiles": {
        "quick": {"driver": "simulated", "start_ms": 10},
        "slow": {"driver": "simulated", "start_ms": 40},
    },
    "experiments": [
        {"experiment": "lifecycle", "drivers": ["quick", "slow"], "params": {"instances": 8}},
        {"experiment": "density", "drivers": ["quick"]},
        {"experiment": "security", "drivers": ["quick"]},
    ],
}


def measured_root(folder: Path) -> Path:
    """A results root with campaign ``real``, measured, and a copy of it as ``twin``."""
    root = folder / "results"
    root.mkdir()
    run_simulated(folder, CAMPAIGN, exit_code=3).rename(root / "real")
    shutil.copytree(root / "real", root / "twin")
    return root


def plan(folder: Path, trials: tuple[Trial, ...]) -> None:
    """A results folder as it is before anything was measured."""
    folder.mkdir()
    Results(folder).freeze("campaign: sample\n", trials)


def host(name: str, **changes: Any) -> HostEntry:
    """A host as the broker has it at ``NOW_S``."""
    content: dict[str, Any] = {
        "name": name,
        "alive": True,
        "labels": {"rack": "3"},
        "contract": CONTRACT_VERSION,
        "boot": "b",
        "engines": {"docker": {"present": True, "version": "29.1"}, "libvirt": {"reason": "no socket"}},
        "facts": {"cpu_count": 4, "mem_bytes": 1 << 34},
        "versions": {},
        "beat": {
            "at": NOW_S - 3,
            "clock_offset_ns": 0,
            "clock_error_ns": 10,
            "mem_available_bytes": 5.0,
        },
        "activity": {},
        "quarantine": {},
    }
    return HostEntry(**content | changes)


@dataclass
class Rig:
    """One server and a browser that asks it."""

    root: Path
    serving: Serving
    client: TestClient

    @classmethod
    @contextmanager
    def over(cls, folder: Path, name: str = "sample", **settings: Any) -> Iterator["Rig"]:
        """A server over ``folder/results``, with one campaign planned there."""
        root = folder / "results"
        if not root.exists():
            root.mkdir()
            plan(root / name, TRIALS)
        said = {"address": "127.0.0.1", "port": 8080, "results_root": root} | settings
        serving = Serving.of(ServeSettings(**said))
        client = TestClient(make_app(serving), HERE, raise_server_exceptions=False)
        client.follow_redirects = False
        yield cls(root, serving, client)
        serving.end()

    @property
    def results(self) -> Results:
        return Results(self.root / "sample")

    def put(self, place: int, attempt: int = 1, outcome: str = "completed", **changes: Any) -> Path:
        """A part comes in."""
        verdict = "valid" if outcome == "completed" else "invalid"
        said = {"outcome": outcome, "verdict": verdict} | changes
        part = make_part(TRIALS[place], attempt=attempt, **said)
        self.results.store(part.name, part.data)
        return self.results.parts / part.name

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers={name.replace("_", "-"): v for name, v in headers.items()})

    def post(self, path: str, origin: str | None = HERE, **fields: str) -> Response:
        headers = {} if origin is None else {"origin": origin}
        return self.client.post(path, data=fields, headers=headers)

    def enter(self, token: str) -> Response:
        return self.post("/login", token=token)


def once_there(rig: Rig, path: str, words: str) -> str:
    """A page as soon as the answer that it waits for is there."""
    give_up = time.monotonic() + 60
    while words not in (text := rig.get(path).text):
        assert time.monotonic() < give_up, text
        time.sleep(0.05)
    return text
