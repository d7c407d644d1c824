"""Lifecycles of a domain as a person would write the loop: libvirt's library, and virsh."""

import re
import secrets
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
from trial_batches import Life

TIMEOUT_S = 60.0
_UNDEFINE_ALL = 1 | 2 | 4 | 16
_PAUSED = 1


@dataclass(frozen=True)
class Template:
    """The XML of one of Tonnage's domains, from which others are made with names of their own."""

    xml: str
    folder: Path
    """Where consoles' sockets and files for virsh lie."""

    @contextmanager
    def domain(self) -> Iterator[tuple[str, str]]:
        """Name and XML of a new domain, with somebody that listens for its console's call."""
        name = f"tonnage-bare-{secrets.token_hex(6)}"
        path = self.folder / f"{name}.sock"
        xml = re.sub(r"<name>.*?</name>", f"<name>{name}</name>", self.xml)
        xml = re.sub(r"<uuid>.*?</uuid>", f"<uuid>{uuid.uuid4()}</uuid>", xml)
        xml = re.sub(r'path="[^"]*\.sock"', f'path="{path}"', xml)
        with socket.socket(socket.AF_UNIX) as console:
            console.bind(str(path))
            console.listen(1)
            try:
                yield name, xml
            finally:
                path.unlink(missing_ok=True)


class Library:
    """Calls of libvirt's library, a connection per thread or one for all."""

    def __init__(self, uri: str, template: Template, *, shared: bool = False) -> None:
        self._uri, self._template = uri, template
        self._links = threading.local()
        self._opened: list[Any] = []
        self._shared = libvirt.open(uri) if shared else None

    def connection(self) -> Any:
        """Of this thread."""
        if self._shared is not None:
            return self._shared
        if getattr(self._links, "link", None) is None:
            self._links.link = libvirt.open(self._uri)
            self._opened.append(self._links.link)
        return self._links.link

    def live(self) -> Life:
        """One lifecycle: define, start, destroy, undefine."""
        begun = time.perf_counter()
        with self._template.domain() as (_, xml):
            domain = self.connection().defineXML(xml)
            domain.create()
            started = time.perf_counter()
            domain.destroy()
            domain.undefineFlags(_UNDEFINE_ALL)
            gone = time.perf_counter()
        return Life(started - begun, gone - started, gone - begun)

    @contextmanager
    def paused(self) -> Iterator[Any]:
        """A domain whose processors stand still, so that it costs nothing while it is there."""
        with self._template.domain() as (_, xml):
            domain = self.connection().defineXML(xml)
            try:
                domain.createWithFlags(_PAUSED)
                yield domain
            finally:
                with suppress(libvirt.libvirtError):
                    domain.destroy()
                domain.undefineFlags(_UNDEFINE_ALL)

    def close(self) -> None:
        """Close all connections."""
        for link in [*self._opened, *([self._shared] if self._shared else [])]:
            link.close()


class Virsh:
    """One virsh per call, as scripts do it."""

    def __init__(self, uri: str, template: Template) -> None:
        self._uri, self._template = uri, template

    def live(self) -> Life:
        """One lifecycle."""
        begun = time.perf_counter()
        with self._template.domain() as (name, xml):
            file = self._template.folder / f"{name}.xml"
            file.write_text(xml)
            self._run("define", str(file))
            self._run("start", name)
            started = time.perf_counter()
            self._run("destroy", name)
            self._run("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram")
            gone = time.perf_counter()
            file.unlink()
        return Life(started - begun, gone - started, gone - begun)

    def _run(self, *arguments: str) -> None:
        command = ["virsh", "--quiet", "--connect", self._uri, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
