"""What is particular to one host: its name, folders and engines. Set by the operator."""

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from contract.campaign import Frozen, Name
from workers.libvirt_uris import checked_uris

Registry = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https?://)?([A-Za-z0-9][A-Za-z0-9.-]{0,253}|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$"
    ),
]
"""Where a registry is."""


def _words(given: object) -> object:
    """One line as a shell would split it, but nothing else of what a shell does."""
    return tuple(shlex.split(given)) if isinstance(given, str) else given


Command = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""A program of the operator's and its arguments."""


Folder = Annotated[Path, AfterValidator(Path.absolute)]
"""Whole, since engines and instances have working directories of their own."""


class HostSettings(Frozen):
    """One host as its worker knows it. Campaigns never set any of this."""

    name: Name
    state_dir: Folder = Path("/var/lib/tonnage")
    """Spool, write-ahead files, built images and the host lock."""
    run_dir: Folder = Path("/run/tonnage")
    """Console sockets: kept short, since a socket's path may have 107 bytes at most."""
    docker_socket: Path = Path("/var/run/docker.sock")
    podman_socket: Path = Path("/run/podman/podman.sock")
    libvirt_uri: Annotated[str, AfterValidator(checked_uris)] = "qemu:///system"
    """One URI, or several with spaces between them: one per hypervisor (``workers.libvirt_uris``)."""
    registry: Registry = "127.0.0.1:5000"
    """OCI registry of deployments: HOST:PORT, with http:// before it where it speaks no TLS."""
    kernel: Path | None = None
    """Kernel for virtual machines; None takes the newest readable one under /boot."""
    labels: dict[str, str] = {}
    may_restart_engines: bool = False
    """Whether campaigns may restart the daemons of this host's engines."""
    policy: Path | None = None
    """What campaigns may do here (``workers.policy``); None allows everything."""
    lose_command: Command = ()
    """What takes this host away from the fleet, for failover: a program and its arguments, no shell."""
    regain_command: Command = ()
    """What brings it back. Run after every loss, even when the worker has died."""
    engine_deadline_s: float = 60.0
    """Longest wait for one engine call, whatever the campaign says."""
