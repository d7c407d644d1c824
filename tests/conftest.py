"""Engines and hosts that tests share. An absent engine skips its tests; in CI it fails them."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import engines
import hypothesis
import podman_service
import pytest
import rabbitmq_server
from engines import DockerEngine, session
from podman_service import PodmanService
from rabbitmq_server import RabbitMq

from workers.settings import HostSettings

# Tests share their machine with engines: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Let a session that is asked to end tear its engines down, as one that is interrupted does."""
    config.pluginmanager.register(LongFirst())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a shell's background job
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or our children would ignore it, too
    if hasattr(config, "workerinput"):  # files that run at the same time do not share a host's name
        os.environ.setdefault("TONNAGE_NAME", f"tests-{config.workerinput['workerid']}")
    else:  # pytest-xdist ends its workers by itself
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Under pytest-xdist a file stays together, and so do files whose hosts have the same names.

    A worker sweeps what its host's name is on, so two tests with a host 'h1' would sweep each other's.
    """
    if item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


class LongFirst:
    """Files that take minutes begin first, the longest at once, or the others would wait for them."""

    @pytest.hookimpl(trylast=True)  # after pytest-randomly
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort; whatever is alike keeps its order."""
        items.sort(key=lambda item: -_minutes(item))


def _minutes(item: pytest.Item) -> int:
    """About what the file, or what stays together with it, takes: its marker says so."""
    marker = item.get_closest_marker("long")
    return 0 if marker is None else int(marker.kwargs.get("minutes", 1))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """The engine that TONNAGE_TEST_DOCKER_SOCKET names, or a private one."""
    if named := os.environ.get("TONNAGE_TEST_DOCKER_SOCKET"):
        yield DockerEngine(Path(named))
    else:
        yield from session("docker", engines.dockerd)


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[PodmanService]:
    """A private Podman."""
    yield from session("podman", podman_service.podman)


@pytest.fixture(scope="session")
def libvirt_engine() -> Iterator[str]:
    """URI of the libvirt that TONNAGE_TEST_LIBVIRT_URI names, of the machine's, or of our own."""
    uri = os.environ.get("TONNAGE_TEST_LIBVIRT_URI", "qemu:///system")
    yield from session("libvirt", lambda: engines.libvirtd(uri))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a private Redis that keeps nothing, or of the one that TONNAGE_TEST_BROKER names."""
    yield from session("redis", engines.redis, os.environ.get("TONNAGE_TEST_BROKER"))


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMq]:
    """A private RabbitMQ."""
    yield from session("rabbitmq", rabbitmq_server.rabbitmq)


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """HOST:PORT of a private OCI registry."""
    yield from session("registry", engines.registry)


@pytest.fixture(scope="session")
def shared_state_dir() -> Iterator[Path]:
    """A state folder for a whole session, so that images are built once. Readable by QEMU's user."""
    with engines.short_folder() as folder:
        yield folder


@pytest.fixture
def host_settings(tmp_path: Path) -> Iterator[HostSettings]:
    """A host of its own for every test: a name, a state folder, and a run folder with a short path."""
    with engines.short_folder() as run_dir:
        yield HostSettings(
            name=f"test-{secrets.token_hex(4)}", state_dir=tmp_path / "state", run_dir=run_dir
        )
