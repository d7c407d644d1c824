"""A Redis as ``deploy/broker.sh`` makes one: TLS, no default user, and a user per host."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import engines

from contract.broker import connect
from contract.errors import BrokerError

SCRIPT = Path(__file__).parents[1] / "deploy" / "broker.sh"
FILES_AT = "/etc/tonnage"


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The script, as an operator calls it."""
    return subprocess.run(
        [str(SCRIPT), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class SecuredBroker:
    """The folder that the script has made, with Redis in it."""

    def __init__(self, folder: Path, *hosts: str) -> None:
        self.folder, self.port = folder, engines.free_port()
        names = [part for host in hosts for part in ("--host", host)]
        options = ("--name", "localhost", "--port", str(self.port), "--simulated", "3")
        made = call("make", str(folder), *options, *names)
        assert made.returncode == 0, made.stderr

    def variables(self, place: str) -> dict[str, str]:
        """What the machine of ``coordinator`` or ``hosts/NAME`` is told, with its files here."""
        lines = (self.folder / place / "tonnage.env").read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines)
        return {key: text.replace(FILES_AT, str(self.folder / place)) for key, text in told.items()}

    def url(self, place: str) -> str:
        """The broker's URL, as that machine has it."""
        return self.variables(place)["TONNAGE_BROKER"]

    def denied(self) -> list[dict[str, Any]]:
        """What users have asked for and may not do, so far."""
        with connect(self.url("redis/admin")) as admin:
            return list(admin.acl_log())

    def answers(self) -> bool:
        """Whether it is up."""
        with suppress(BrokerError):
            connect(self.url("redis/admin")).close()
            return True
        return False


@contextmanager
def secured_broker(folder: Path, *hosts: str) -> Iterator[SecuredBroker]:
    """It runs for as long as the block does. Raises engines.Absent where there is no server program."""
    server = engines.redis_server()
    broker = SecuredBroker(folder, *hosts)
    command = ["sh", "-c", f"cd '{folder}/redis' && exec {server} redis.conf"]
    with engines.daemon(command, folder / "log", broker.answers):
        yield broker
