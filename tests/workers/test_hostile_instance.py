"""An instance whose program is hostile: its row fails, and the worker goes on to the next trial."""

import asyncio
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulation import instances, measure, remove_all

import workers.run
from contract.parts import Part
from workers.discover import find_driver
from workers.ownership import Owner
from workers.settings import HostSettings

SHELL = shutil.which("sh")
MOST_GROWTH_MIB = 64

SPEAK = """\
printf '{"beacon": "%s", "uptime_s": "1e300"}\\n' "$TONNAGE_NONCE"
long=$(head -c 60000 /dev/zero | tr '\\0' x)
while read -r ticket rest; do printf '{"re": "%s", ANSWER}\\n' "$ticket" "$long"; done
"""
NEST = """\
yes '[' | head -n 50000 | tr -d '\\n' | sed 's/^/{"beacon": /'
sleep 60
"""
HOSTILE = {
    "a line without end": "head -c 300000000 /dev/zero | tr '\\0' x; sleep 60",
    "bytes that are no text": "head -c 3000000 /dev/urandom; sleep 60",
    "lines without end": "yes",
    "JSON that is nested deeply": NEST,
    "an answer that is none": SPEAK.replace("ANSWER", '"ok": NaN'),
    "a refusal that is a book": SPEAK.replace("ANSWER", '"error": "%s"'),
    "an uptime beyond all columns": SPEAK.replace("ANSWER", '"ok": true'),
}


@pytest.fixture
def host(host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostSettings]:
    monkeypatch.setattr(workers.run, "QUIET_WAIT_S", 0)
    yield host_settings
    kind = find_driver("process")
    driver = kind(kind.Settings(), host_settings, Owner(host_settings.name, "t", "0" * 32, 0, "t"))
    asyncio.run(remove_all(driver, host_settings.name))


def measured(host: HostSettings, folder: Path, script: str) -> Part:
    path = folder / "program"
    path.write_text(f"#!{SHELL}\n{script}\n")
    path.chmod(0o755)
    params = {"instances": 1, "ready_deadline_s": 0.4}
    return measure(host, driver="process", image=str(path), params=params, deadline_s=20)


@pytest.mark.parametrize("name", HOSTILE)
def test_it_costs_its_own_row_and_no_more(name: str, host: HostSettings, tmp_path: Path) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    part = measured(host, tmp_path, HOSTILE[name])
    growth_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    (row,) = instances(part)
    assert part.record.error_class not in ("internal", "part")
    assert len(row["error_text"] or "") < 3000
    assert row["guest_uptime_ns"] is None
    assert growth_kib < MOST_GROWTH_MIB * 1024
    if "uptime" not in name:
        assert row["outcome"] in ("failed", "timeout")


def test_no_field_of_a_campaign_reaches_a_shell(host: HostSettings, tmp_path: Path) -> None:
    marker = tmp_path / "run"
    evil = f"; touch {marker}; $(touch {marker}) `touch {marker}` | touch {marker} && touch {marker}"
    command = {"work": "command", "command": f"/bin/echo '{evil}' {evil}", "repeats": 1, "warm_ups": 0}
    part = measure(host, experiment="overhead", driver="process", params=command, deadline_s=20)
    assert part.record.outcome == "completed", part.record.error_text
    for image in (f"/bin/true{evil}", f"$(touch {marker})", f"`touch {marker}`"):
        part = measure(host, driver="process", image=image, params={"instances": 1}, deadline_s=20)
        assert (part.record.outcome, part.record.error_class) == ("failed", "image")
    assert not marker.exists()
