"""The marker: there while it is wanted, gone afterwards, found by a sweep when its worker was killed."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from contract.errors import EngineError
from workers.drivers.process import Driver, ProcessSettings
from workers.ownership import Owner
from workers.settings import HostSettings
from workers.surface.marker import marked


def owner_on(host: str) -> Owner:
    return Owner(host, "c1", "a" * 32, 1, "boot")


def test_it_is_readable_while_it_is_wanted(tmp_path: Path) -> None:
    with marked(tmp_path, owner_on("h1")) as marker:
        assert hashlib.sha256(marker.path.read_bytes()).hexdigest() == marker.sha256
        assert marker.path.stat().st_mode & 0o444 == 0o444
    assert list((tmp_path / "process").iterdir()) == []


def test_no_two_are_alike(tmp_path: Path) -> None:
    with marked(tmp_path, owner_on("h1")) as one, marked(tmp_path, owner_on("h1")) as two:
        assert one.path != two.path
        assert one.sha256 != two.sha256


def test_a_place_that_takes_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "process").write_text("a file")
    with pytest.raises(EngineError, match="no file can be made"), marked(tmp_path, owner_on("h1")):
        pass


def test_what_a_killed_worker_left_is_swept(host_settings: HostSettings) -> None:
    owner = owner_on(host_settings.name)
    abandoned = marked(host_settings.state_dir, owner)
    marker = abandoned.__enter__()

    async def sweep() -> list[str]:
        driver = Driver(ProcessSettings(), host_settings, owner)
        await driver.open()
        try:
            found = await driver.leftovers(host_settings.name)
            for leftover in found:
                await driver.sweep(leftover)
            return [leftover.name for leftover in found]
        finally:
            await driver.close()

    assert asyncio.run(sweep()) == [marker.path.parent.name]
    assert not marker.path.exists()
    abandoned.__exit__(None, None, None)
