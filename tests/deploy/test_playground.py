"""The playground for real: hosts come up, measure, survive rough handling, and leave nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "playground.sh"
CAMPAIGN = """\
campaign: playground-try
blocks: 1
experiments:
  - experiment: lifecycle
    drivers: [process, docker]
    params: {instances: 2}
"""

pytestmark = [
    pytest.mark.long(minutes=4),
    pytest.mark.xdist_group("hosts h1, h2, h3"),
    pytest.mark.fleet,
    pytest.mark.libvirt,
    pytest.mark.timeout(400),
]


def call(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        env={
            **os.environ,
            "TONNAGE_PLAYGROUND": str(folder),
            "TONNAGE_SUBNET": "10.216.7",
            "TONNAGE_VENV": sys.prefix,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )


def why_not() -> str | None:
    """What stands in the way of a playground here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("dockerd", "nsenter", "ip", "redis-server") if not shutil.which(name)]
    if missing:
        return f"there is no {missing[0]}"
    if not Path(sys.prefix, ".tonnage-package").exists():
        return "the script would install into an environment that deploy/ did not make"
    if Path("/sys/class/net/tonnage0").exists():
        return "another playground is up"
    return None


@pytest.fixture
def playground(libvirt_engine: str) -> Iterator[Path]:
    """Two hosts. libvirt is there before: the script's own would end under other tests that found it."""
    if reason := why_not():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="tng-", dir="/tmp")) / "p"
    try:
        answer = call(str(SCRIPT), "up", "2", folder=folder)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield folder
    finally:
        down = call(str(SCRIPT), "down", folder=folder)
        folder.parent.rmdir()
        assert down.returncode == 0, down.stdout + down.stderr


def daemons(folder: Path) -> dict[str, int]:
    """Process ids by name, as the script recorded them."""
    lines = (folder / "daemons").read_text().splitlines()
    return {name: int(pid) for pid, _, name in map(str.split, lines)}


def test_two_hosts_measure_and_nothing_is_left(playground: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    tonnage = str(Path(sys.prefix, "bin/tonnage"))
    broker = {"TONNAGE_BROKER": (playground / "broker").read_text().strip()}
    campaign = [str(tmp_path / "c.yaml"), "--results", str(tmp_path / "results"), "--json"]
    answer = call(tonnage, "run", *campaign, folder=playground, **broker)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    summary = json.loads(answer.stdout.splitlines()[-1])
    assert summary["outcomes"] == {"completed": 4}

    assert "is there already" in call(str(SCRIPT), "up", "1", folder=playground).stderr
    links = [call(str(SCRIPT), verb, "h2", folder=playground).returncode for verb in ("cut", "join")]
    assert links == [0, 0]

    # An engine that dies without a word leaves its containerd; `down` must find them all the same.
    ids = daemons(playground)
    os.kill(ids["dockerd-h1"], signal.SIGKILL)
    assert call(str(SCRIPT), "down", folder=playground).returncode == 0
    assert not playground.exists()
    assert str(playground) not in Path("/proc/mounts").read_text()
    assert not Path("/run/netns/tonnage-h1").exists()
    assert not [name for name in os.listdir("/sys/class/net") if name.startswith("tonnage")]
    assert not [name for name, pid in ids.items() if is_alive(pid, playground)]


def is_alive(pid: int, folder: Path) -> bool:
    try:
        return str(folder) in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
