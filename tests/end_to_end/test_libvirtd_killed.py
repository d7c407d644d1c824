"""A libvirt daemon that is killed in the middle of a trial, on one host of a fleet."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from engines import session, short_folder
from fleet import Process, own_broker, wait_until
from private_libvirt import PrivateLibvirt, private_libvirt
from real_fleet import INSTANCES, LONG_S, Engines, real_fleet

BLOCKS = 3
pytestmark = [pytest.mark.long, pytest.mark.redis, pytest.mark.libvirt, pytest.mark.timeout(600)]


@pytest.fixture
def libvirt() -> Iterator[PrivateLibvirt]:
    yield from session("libvirt", private_libvirt)


def has_guests(libvirt: PrivateLibvirt, coordinator: Process) -> bool:
    assert coordinator.running, coordinator.said()
    return libvirt.guests() != []


def test_a_libvirt_daemon_that_is_killed_in_the_middle_of_a_trial(
    libvirt: PrivateLibvirt, tmp_path: Path
) -> None:
    """It comes back later, as an init system would see to; its guests run on meanwhile."""
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker())
        folder = stack.enter_context(short_folder())  # QEMU must reach what it boots
        hosts = {"vm1": Engines(libvirt=libvirt.uri), "vm2": Engines()}
        fleet = stack.enter_context(real_fleet(folder, broker, hosts))
        fleet.file.write_text(yaml.safe_dump(CAMPAIGN))
        coordinator = fleet.run()
        wait_until(lambda: has_guests(libvirt, coordinator), "a guest runs", LONG_S)
        libvirt.kill()
        libvirt.start()
        said = fleet.finish(coordinator, 3)
        trials = fleet.rows("trials")
        ended = Counter((t["host"], t["driver"], t["outcome"]) for t in trials)
        assert ended["vm1", "process", "completed"] == ended["vm2", "process", "completed"] == BLOCKS
        assert ended["vm1", "libvirt", "completed"] >= 1
        assert ended["vm1", "libvirt", "failed"] + ended["vm1", "libvirt", "partial"] >= 1
        assert (
            sum(n for (host, driver, _), n in ended.items() if (host, driver) == ("vm1", "libvirt"))
            == BLOCKS
        )
        assert "libvirt" in said
        assert len({t["trial_id"] for t in trials}) == len(trials)
        fleet.measured_once()
        fleet.nothing_is_left()
        assert libvirt.guests() == []


CAMPAIGN = {
    "campaign": "faults",
    "blocks": BLOCKS,
    "deadline_s": 120,
    "profiles": {"emulated": {"driver": "libvirt", "accel": "tcg"}},
    "experiments": [
        {
            "experiment": "lifecycle",
            "drivers": ["process", "emulated"],
            "params": {"instances": INSTANCES, "ready": "started", "hold_s": 1},
        }
    ],
}
