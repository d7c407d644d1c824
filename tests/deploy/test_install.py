"""install.sh below a folder that stands for the root: modes, owners, doing it again, taking it back."""

import os
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "install.sh"
METADATA = (
    "Metadata-Version: 2.1\nName: tonnage\nVersion: 9\nProvides-Extra: docker\nProvides-Extra: libvirt\n"
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="users and owners take root")


class Machine:
    """A folder that stands for the root of a machine with Docker's group, and what is installed from."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.wheels = folder / "wheels"
        self.host_files = folder / "host"
        for place in (self.root / "etc", self.wheels, self.host_files / "keys"):
            place.mkdir(parents=True)
        (self.root / "etc/group").write_text("docker:x:113:\n")
        (self.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        self.wheel = stub_wheel(self.wheels)
        for name in ("tonnage.env", "ca.pem", "h1.key", "keys/h1.key"):
            (self.host_files / name).write_text(f"{name}\n")

    def install(self, *arguments: str) -> str:
        """What install.sh says; it must be content."""
        answer = subprocess.run(
            [str(SCRIPT), *arguments, "--root", str(self.root)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def worker(self, *arguments: str) -> str:
        sources = ["--from", str(self.wheel), "--wheels", str(self.wheels)]
        return self.install("worker", *sources, "--host-files", str(self.host_files), *arguments)

    def mode(self, path: str) -> str:
        return f"{stat.S_IMODE((self.root / path).stat().st_mode):o}"

    def owner(self, path: str) -> tuple[int, int]:
        status = (self.root / path).stat()
        return status.st_uid, status.st_gid

    def ids(self, user: str) -> tuple[int, int]:
        lines = (self.root / "etc/passwd").read_text().splitlines()
        found = next(line.split(":") for line in lines if line.startswith(f"{user}:"))
        return int(found[2]), int(found[3])


def stub_wheel(folder: Path) -> Path:
    """A Tonnage that needs nothing and does nothing: what is tried here is the installer."""
    path = folder / "tonnage-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("orchestrator/stub.py", "def main() -> None: ...\n")
        archive.writestr("tonnage-9.dist-info/METADATA", METADATA)
        archive.writestr("tonnage-9.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(
            "tonnage-9.dist-info/entry_points.txt",
            "[console_scripts]\ntonnage = orchestrator.stub:main\n",
        )
        archive.writestr("tonnage-9.dist-info/RECORD", "")
    return path


def test_a_worker_is_installed_again_and_taken_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    said = machine.worker("--root-worker")
    assert "made    user tonnage" in said
    assert "docker:x:113:tonnage" in (machine.root / "etc/group").read_text()
    tonnage = machine.ids("tonnage")
    secrets = ("tonnage.env", "h1.key", "keys/h1.key", "tonnage.yaml")
    for path in (f"etc/tonnage/{name}" for name in secrets):
        assert (machine.mode(path), machine.owner(path)) == ("640", (0, tonnage[1])), path
    assert machine.mode("var/lib/tonnage") == "711"  # QEMU's user passes through
    assert machine.owner("var/lib/tonnage") == tonnage
    program = machine.root / "opt/tonnage/venv/bin/tonnage"
    assert program.read_text().startswith("#!/opt/tonnage/venv/bin/python")
    assert (machine.root / "etc/systemd/system/tonnage-worker.service.d/root.conf").exists()

    (machine.root / "etc/tonnage/tonnage.yaml").write_text("name: mine\n")
    (machine.root / "var/lib/tonnage/spool").mkdir()
    again = machine.worker()
    assert "made" not in again
    assert (machine.root / "etc/tonnage/tonnage.yaml").read_text() == "name: mine\n"
    assert not (machine.root / "etc/systemd/system/tonnage-worker.service.d/root.conf").exists()

    machine.install("--uninstall")
    assert not (machine.root / "opt/tonnage/venv").exists()
    assert not list((machine.root / "etc/systemd/system").iterdir())
    assert not (machine.root / "usr/local/bin/tonnage").is_symlink()
    assert (machine.root / "etc/tonnage/h1.key").exists()
    assert (machine.root / "var/lib/tonnage/spool").exists()

    machine.install("--uninstall", "--purge")
    left = [path for path in machine.root.rglob("*") if not path.is_dir()]
    assert {path.name.rstrip("-") for path in left} <= {
        "group",
        "passwd",
        "gshadow",
        "shadow",
        "subuid",
        "subgid",
    }
    assert not [path for path in left if "tonnage" in path.read_text() and not path.name.endswith("-")]
    assert not (machine.root / "var/lib/tonnage").exists()


def test_a_broker_gets_no_more_than_it_needs(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    made = tmp_path / "broker"
    (made / "redis").mkdir(parents=True)
    (made / "ca.key").write_text("the authority's\n")
    for name in ("ca.pem", "server.pem", "server.key", "users.acl"):
        (made / "redis" / name).write_text(f"{name}\n")
    (made / "redis/redis.conf").write_text("port 0\ntls-key-file server.key\naclfile users.acl\ndir .\n")
    machine.install("redis", "--broker-files", str(made))
    installed = machine.root / "etc/tonnage/broker"
    assert {path.name for path in installed.iterdir()} == {
        "ca.pem",
        "redis.conf",
        "server.key",
        "server.pem",
        "users.acl",
    }
    assert (installed / "redis.conf").read_text().splitlines() == [
        "port 0",
        "tls-key-file /etc/tonnage/broker/server.key",
        "aclfile /etc/tonnage/broker/users.acl",
        "dir /var/lib/tonnage-redis",
    ]
    assert machine.mode("etc/tonnage/broker/server.key") == "640"
    assert machine.owner("etc/tonnage/broker/server.key") == (0, machine.ids("tonnage-redis")[1])


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    made = tmp_path / "broker/redis"
    made.mkdir(parents=True)
    for name in ("ca.pem", "server.pem", "server.key", "users.acl", "redis.conf"):
        (made / name).write_text("port 0\n")
    (machine.root / "etc/tonnage").mkdir()
    (machine.root / "etc/tonnage/letter").write_text("dear")
    machine.install("redis", "--broker-files", str(made.parent))
    machine.install("--uninstall", "--purge")
    assert [path.name for path in (machine.root / "etc/tonnage").iterdir()] == ["letter"]


def test_it_is_taken_back_from_a_machine_itself(tmp_path: Path) -> None:
    """With no folder that stands for the root."""
    for name in ("venv", "kept", "unit"):
        (tmp_path / name).mkdir()
    record = f"data {tmp_path}/kept\nprogram {tmp_path}/unit\n"
    (tmp_path / "installed").write_text(record)
    for options, left in ([], {"installed", "kept"}), (["--purge"], None):
        command = [str(SCRIPT), "--uninstall", "--prefix", str(tmp_path), *options]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=20)
        assert left is None or {path.name for path in tmp_path.iterdir()} == left
    assert not tmp_path.exists()


REFUSED = {
    "say what this machine shall be": [],
    "unknown: wroker": ["wroker"],
    "redis needs --broker-files": ["redis"],
    "there is no /nowhere": ["worker", "--host-files", "/nowhere"],
    "nothing is installed in": ["--uninstall", "--prefix", "/nowhere"],
}


@pytest.mark.parametrize("complaint", REFUSED)
def test_a_wrong_call_is_refused(complaint: str) -> None:
    answer = subprocess.run(
        [str(SCRIPT), *REFUSED[complaint]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert answer.returncode == 1
    assert complaint in answer.stderr
