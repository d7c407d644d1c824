"""Options that several commands share, each also an environment variable."""

import functools
import inspect
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract.errors import UseError

if TYPE_CHECKING:
    from workers.settings import HostSettings

BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", envvar="TONNAGE_BROKER", help="Broker's URL, such as redis://host:6379/0."),
]
ResultsOption = Annotated[
    Path | None, typer.Option("--results", help="Results folder; default: results/CAMPAIGN.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="TONNAGE_KEYS",
        help="Folder of the hosts' keys: sign, and believe what is signed.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="TONNAGE_KEY",
        help="This host's key, or a folder with NAME.key: signed orders only.",
    ),
]
MaxMessageAgeOption = Annotated[
    float,
    typer.Option(
        "--max-message-age",
        envvar="TONNAGE_MAX_MESSAGE_AGE_S",
        min=1,
        help="With --key: how old an order may be, seconds.",
    ),
]


HOST_OPTIONS: dict[str, object] = {
    "name": Annotated[
        str | None,
        typer.Option("--name", envvar="TONNAGE_NAME", help="Host name; default: this machine's."),
    ],
    "state_dir": Annotated[
        Path | None,
        typer.Option(
            "--state-dir",
            envvar="TONNAGE_STATE_DIR",
            readable=False,
            help="Spool, images and the host lock.",
        ),
    ],
    "run_dir": Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            envvar="TONNAGE_RUN_DIR",
            readable=False,
            help="Console sockets; a short path.",
        ),
    ],
    "docker_socket": Annotated[
        Path | None,
        typer.Option(
            "--docker-socket",
            envvar="TONNAGE_DOCKER_SOCKET",
            readable=False,
            help="Docker's Unix socket.",
        ),
    ],
    "podman_socket": Annotated[
        Path | None,
        typer.Option(
            "--podman-socket",
            envvar="TONNAGE_PODMAN_SOCKET",
            readable=False,
            help="Podman's Unix socket.",
        ),
    ],
    "libvirt_uri": Annotated[
        str | None,
        typer.Option("--libvirt-uri", envvar="TONNAGE_LIBVIRT_URI", help="libvirt connection URI."),
    ],
    "registry": Annotated[
        str | None,
        typer.Option(
            "--registry", envvar="TONNAGE_REGISTRY", help="OCI registry of deployments, HOST:PORT."
        ),
    ],
    "kernel": Annotated[
        Path | None,
        typer.Option(
            "--kernel", envvar="TONNAGE_KERNEL", help="Kernel for VMs; default: newest in /boot."
        ),
    ],
    "may_restart_engines": Annotated[
        bool | None,
        typer.Option(
            "--may-restart-engines",
            envvar="TONNAGE_MAY_RESTART_ENGINES",
            help="Let campaigns restart the daemons of this host's engines.",
        ),
    ],
    "policy": Annotated[
        Path | None,
        typer.Option("--policy", envvar="TONNAGE_POLICY", help="What campaigns may do here (YAML)."),
    ],
    "lose_command": Annotated[
        str | None,
        typer.Option(
            "--lose-command",
            envvar="TONNAGE_LOSE_COMMAND",
            help="Takes this host away, for failover; one line, no shell.",
        ),
    ],
    "regain_command": Annotated[
        str | None,
        typer.Option(
            "--regain-command", envvar="TONNAGE_REGAIN_COMMAND", help="Brings it back afterwards."
        ),
    ],
    "engine_deadline_s": Annotated[
        float | None,
        typer.Option(
            "--engine-deadline",
            envvar="TONNAGE_ENGINE_DEADLINE_S",
            min=1,
            help="Longest wait for one engine call, seconds.",
        ),
    ],
}
"""What is said of the host at hand where something is started on it: parameter and option.

Whether paths can be used is found out where they are: an engine with a closed socket is absent.
"""


Command = Callable[..., None]


def takes(
    argument: str, options: dict[str, object], make: Callable[..., object]
) -> Callable[[Command], Command]:
    """A decorator that gives a command all these options.

    What they say reaches it as one argument, which ``make`` makes of them.
    """

    def taking(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != argument]
        kind = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(name, kind, default=None, annotation=option)
            for name, option in options.items()
        ]

        @functools.wraps(command)
        def with_more(**given: object) -> None:
            said = {name: given.pop(name) for name in options}
            command(**given, **{argument: make(**said)})

        shown = inspect.Signature([*own, *added])
        with_more.__signature__ = shown  # type: ignore[attr-defined]  # the command line is made from it
        with_more.__annotations__ = {p.name: p.annotation for p in shown.parameters.values()}
        return with_more

    return taking


def takes_host(command: Command) -> Command:
    """Give a command all HOST_OPTIONS; what they say reaches it as one argument, ``host``."""
    return takes("host", HOST_OPTIONS, host_settings)(command)


def host_settings(**given: object) -> "HostSettings":
    """What was said about this host, with the defaults of its user: root or not. Raises UseError."""
    from pydantic import ValidationError

    from contract.yaml_source import in_words
    from workers.settings import HostSettings

    root = os.geteuid() == 0
    home = Path.home() / ".local/state/tonnage"
    session = os.environ.get("XDG_RUNTIME_DIR")
    runtime = Path(session or f"/tmp/tonnage-{os.getuid()}") / "tonnage"  # noqa: S108
    defaults = {
        "name": host_name(),
        "state_dir": Path("/var/lib/tonnage") if root else home,
        "run_dir": Path("/run/tonnage") if root else runtime,
    }
    if session and not root:  # every user has a Podman of their own
        defaults["podman_socket"] = Path(session) / "podman/podman.sock"
    said = {key: value for key, value in given.items() if value is not None}
    try:
        return HostSettings.model_validate(defaults | said)
    except ValidationError as error:
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        raise UseError(f"{option}: found {problem['input']!r}; allowed: {in_words(problem)}") from error


def host_name() -> str:
    """This machine's name in the form that queues and labels take."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip("-.")
    return plain[:63] or "localhost"


def labels_from(pairs: list[str]) -> dict[str, str]:
    """``["rack=3"]`` → ``{"rack": "3"}``. Raises UseError for anything else."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UseError(f"--label: found {wrong[0]!r}; allowed: KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def checked_names(names: list[str]) -> list[str]:
    """The names, when each may be a host's. Raises UseError for one that may not."""
    from pydantic import ValidationError

    from contract.campaign import HostSelection
    from contract.yaml_source import in_words

    try:
        return list(HostSelection(names=tuple(names)).names)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UseError(f"--host: found {problem['input']!r}; allowed: {in_words(problem)}") from error


def counted(count: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
