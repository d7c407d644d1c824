"""Three real workers of bare processes on a broker of our own, and what must hold after every fault."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
import duckdb
import psutil
import yaml
from fleet import Broker, Process, alive, wait_until

from contract.parts import list_parts

BLOCKS = int(os.environ.get("TONNAGE_TEST_BLOCKS", "4"))
"""Trials per host; 20 make the sixty of a long run."""
INSTANCES = 2
DRIVER = os.environ.get("TONNAGE_TEST_FLEET_DRIVER", "process")
"""``docker`` for a long run on containers."""
LONG_S = 240.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Engines:
    """Where a host's engines answer; by default it has none."""

    docker: Path = Path("/nowhere/docker.sock")
    libvirt: str = "qemu:///system?socket=/nowhere"

    @property
    def options(self) -> tuple[str, ...]:
        """What the command line is told."""
        return ("--docker-socket", str(self.docker), "--libvirt-uri", self.libvirt)


class Link:
    """A way to the broker that can be cut: while it is, bytes go neither way and nobody is told."""

    def __init__(self, target: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        relay = str(Path(__file__).with_name("relay.py"))
        self._relay = subprocess.Popen([sys.executable, relay, str(self.port), str(target)])

    @property
    def pid(self) -> int:
        """Of the relay."""
        return self._relay.pid

    def cut(self) -> None:
        """From now on nothing passes."""
        self._relay.send_signal(signal.SIGSTOP)

    def join(self) -> None:
        """What was held up goes on its way."""
        self._relay.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Break all connections, and take no more."""
        self._relay.kill()
        self._relay.wait(LONG_S)


class Host:
    """One worker, which may be killed and started again."""

    def __init__(self, name: str, folder: Path, broker: Broker, engines: Engines) -> None:
        self.name, self.folder = name, folder / name
        self.engines = engines.options
        self.folder.mkdir()
        self.state = self.folder / "state"
        self.link = Link(broker.port)
        self.env = {
            "TONNAGE_LOSE_COMMAND": f"kill -STOP {self.link.pid}",
            "TONNAGE_REGAIN_COMMAND": f"kill -CONT {self.link.pid}",
        }
        self.worker: Process | None = None
        self._broker = broker

    def start(self) -> None:
        """Be alive."""
        url = f"redis://127.0.0.1:{self.link.port}/0"
        folders = ("--state-dir", str(self.state), "--run-dir", str(self.folder / "run"))
        options = ("worker", "--name", self.name, "--broker", url, *folders, *self.engines)
        self.worker = Process(self.folder / "worker.log", *options, env=self.env)

    def is_alive(self) -> bool:
        """Whether it has a heartbeat; fails when its process has ended."""
        assert self.worker is not None
        assert self.worker.running, self.worker.said()
        return self.name in alive(self._broker.url)

    def kill(self) -> None:
        """Die at once, child and all."""
        if self.worker is not None:
            self.worker.kill()

    def pool_child(self) -> psutil.Process:
        """The child that measures: the largest one."""
        assert self.worker is not None
        children = psutil.Process(self.worker.pid).children()
        return max(children, key=lambda child: child.memory_info().rss)

    def spooled(self) -> list[Path]:
        """Parts in its spool."""
        return list(self.state.glob("spool/*/*.part"))

    def leftovers(self) -> str:
        """What a sweep of this host would find."""
        options = ("--state-dir", str(self.state), "--run-dir", str(self.folder / "run"), *self.engines)
        swept = command.tonnage("sweep", "--dry-run", "--host", self.name, *options, cwd=self.folder)
        said = swept.stderr + swept.stdout
        return "nothing" if "0 leftovers\n" in said else said


class RealFleet:
    """The hosts, a campaign of ``BLOCKS`` trials each, and its results."""

    def __init__(self, folder: Path, broker: Broker, engines: Mapping[str, Engines]) -> None:
        self.folder, self.broker = folder, broker
        self.hosts = {name: Host(name, folder, broker, has) for name, has in engines.items()}
        self.results = folder / "results"
        self.file = folder / "faults.yaml"
        self.ask_for(DRIVER)
        self.patience_s = 60

    def ask_for(self, driver: str) -> None:
        """Write the campaign, for instances of this driver."""
        entry = {"experiment": "lifecycle", "drivers": [driver]}
        entry |= {"params": {"instances": INSTANCES, "ready": "started", "hold_s": 0.2}}
        content = {"campaign": "faults", "blocks": BLOCKS, "deadline_s": 60, "experiments": [entry]}
        self.file.write_text(yaml.safe_dump(content))

    @property
    def planned(self) -> int:
        """Trials of the campaign."""
        return BLOCKS * len(self.hosts)

    def run(self, *options: str) -> Process:
        """Start a coordinator. What it measured is the test, not how it is drawn."""
        where = ("--broker", self.broker.url, "--results", str(self.results))
        patience = ("--patience", str(self.patience_s))
        words = ("run", str(self.file), "--no-report", *where, *patience, *options)
        return Process(self.folder / "run.log", *words)

    def finish(self, coordinator: Process, code: int = 0) -> str:
        """Wait for its end by itself. Returns what it has said."""
        assert coordinator.wait(LONG_S) == code, coordinator.said()[-3000:]
        return coordinator.said()

    def parts(self) -> dict[str, tuple[int, ...]]:
        """What has come in."""
        return list_parts(self.results / "parts")

    def wait_for_parts(self, count: int) -> None:
        """Until so many trials have come in."""
        wait_until(lambda: len(self.parts()) >= count, f"{count} parts have come in", LONG_S)

    def rows(self, table: str) -> list[Row]:
        """The dataset's rows."""
        files = f"{self.results}/dataset/{table}/**/*.parquet"
        found: list[Row] = duckdb.sql(f"select * from '{files}'").to_arrow_table().to_pylist()
        return found

    def is_exact(self, outcomes: dict[str, int] | None = None) -> list[Row]:
        """One record per planned trial, one row per planned instance. Returns the trials."""
        trials, instances = self.rows("trials"), self.rows("instances")
        expected = outcomes or {"completed": self.planned}
        assert Counter(trial["outcome"] for trial in trials) == expected
        assert len({trial["trial_id"] for trial in trials}) == len(trials) == self.planned
        attempts = {trial["trial_id"]: trial["attempt"] for trial in trials}
        rows = Counter((row["trial_id"], row["instance"]) for row in instances)
        assert rows == {(trial, n): 1 for trial in attempts for n in range(INSTANCES)}
        assert all(row["attempt"] == attempts[row["trial_id"]] for row in instances)
        return trials

    def measured_once(self) -> None:
        """No host has measured a trial twice, and what it measured is what came in."""
        for host in self.hosts.values():
            spooled = {path.name: path for path in host.spooled()}
            assert len({name.partition(".")[0] for name in spooled}) == len(spooled)
            for name, path in spooled.items():
                assert (self.results / "parts" / name).read_bytes() == path.read_bytes()

    def others_are_undisturbed(self, *faulty: str) -> None:
        """Every trial of the other hosts is its first attempt, and completed."""
        for trial in self.rows("trials"):
            if trial["host"] not in faulty:
                assert (trial["attempt"], trial["outcome"]) == (1, "completed")

    def nothing_is_left(self) -> None:
        """On no host, once its worker is through with messages that nobody waits for any more."""
        for host in self.hosts.values():
            wait_until(lambda h=host: h.leftovers() == "nothing", f"{host.name} is clean")


@contextmanager
def real_fleet(folder: Path, broker: Broker, engines: Mapping[str, Engines]) -> Iterator[RealFleet]:
    """A fleet of these hosts that is alive, and ended afterwards."""
    fleet = RealFleet(folder, broker, engines)
    with ExitStack() as stack:
        for host in fleet.hosts.values():
            stack.callback(host.link.close)
            stack.callback(host.kill)
            stack.callback(host.link.join)
            host.start()
        for host in fleet.hosts.values():
            wait_until(host.is_alive, f"{host.name} is alive")
        yield fleet
