"""A private RabbitMQ with a port in the clear and one with TLS, ended by process id."""

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import engines
import secured_broker

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's own wrapper before it on the path changes user and folder."""
LOGIN = "tonnage:rabbit-secret"
WORKER = "worker:host-secret"


@dataclass(frozen=True)
class RabbitMq:
    """One that answers."""

    url: str
    encrypted_port: int
    authority: Path
    """Who has signed its certificate, which is for ``localhost`` and 127.0.0.1."""

    def encrypted_url(self, host: str = "localhost", authority: Path | None = None) -> str:
        """The way by TLS."""
        trusted = authority or self.authority
        return f"amqps://{LOGIN}@{host}:{self.encrypted_port}/?ssl_ca_certs={trusted}"


@contextmanager
def rabbitmq() -> Iterator[RabbitMq]:
    """It keeps its data, its cookie and its register of nodes in a folder of its own."""
    if not SERVER.exists() or which("epmd") is None:
        raise engines.Absent("there is no rabbitmq-server")
    ports = [engines.free_port() for _ in range(4)]
    plain, encrypted, register, between = ports
    with engines.short_folder() as folder:
        made = secured_broker.call("make", str(folder / "tls"), "--name", "localhost")
        assert made.returncode == 0, made.stderr
        (folder / "rabbitmq.conf").write_text(_config(plain, encrypted, folder))
        (folder / "definitions.json").write_text(json.dumps(_definitions()))
        variables = {
            "HOME": folder,
            "ERL_EPMD_PORT": register,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{folder.name}@localhost",
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "logs",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_DIST_PORT": between,
            "RABBITMQ_PID_FILE": folder / "pid",
            "RUNNING_UNDER_SYSTEMD": "true",  # then its script becomes the server, whose id is ours
        }
        settings = [f"{name}={value}" for name, value in variables.items()]
        nodes = ["epmd", "-port", str(register), "-address", "127.0.0.1"]
        with (
            engines.daemon(nodes, folder / "epmd.log", lambda: _listens(register)),
            engines.daemon(["env", *settings, str(SERVER)], folder / "log", lambda: _listens(encrypted)),
        ):
            yield RabbitMq(f"amqp://{LOGIN}@127.0.0.1:{plain}/", encrypted, folder / "tls/ca.pem")


def _config(plain: int, encrypted: int, folder: Path) -> str:
    tls = folder / "tls"
    return "\n".join(
        [
            f"listeners.tcp.1 = 127.0.0.1:{plain}",
            f"listeners.ssl.1 = 127.0.0.1:{encrypted}",
            f"listeners.ssl.2 = 127.0.0.2:{encrypted}",
            f"ssl_options.cacertfile = {tls}/ca.pem",
            f"ssl_options.certfile = {tls}/redis/server.pem",
            f"ssl_options.keyfile = {tls}/redis/server.key",
            f"load_definitions = {folder}/definitions.json",
            "",
        ]
    )


def _definitions() -> dict[str, Any]:
    """Two users: a coordinator of all hosts, and a worker of hosts whose names begin with ``h-``."""
    coordinator = {
        "configure": r"^host\..*",
        "write": r"^(host\..*|amq\.default)$",
        "read": r"^host\..*",
    }
    rights = {LOGIN: coordinator, WORKER: dict.fromkeys(coordinator, r"^host\.h-.*")}
    named = {login: login.split(":") for login in rights}
    return {
        "users": [{"name": user, "password": password, "tags": ""} for user, password in named.values()],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": named[login][0], "vhost": "/", **may} for login, may in rights.items()],
    }


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False
