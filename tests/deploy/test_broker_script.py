"""The broker that deploy/broker.sh makes: nothing is made twice, and who is removed is out at once."""

import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from engines import redis_server, session, short_folder
from secured_broker import SecuredBroker, call

from contract.broker import connect
from contract.errors import BrokerError

ROOT = Path(__file__).parents[2]


def test_the_page_tells_of_every_kind_of_user() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    kinds = {path.stem for path in (ROOT / "deploy" / "broker").glob("*.acl")}
    assert kinds == {"worker", "coordinator", "viewer", "events", "admin"}
    assert all(f"`tonnage-{kind}" in page for kind in kinds)


@pytest.fixture
def made() -> Iterator[SecuredBroker]:
    with short_folder() as folder:
        yield SecuredBroker(folder / "broker", "h1", "h2")


def hashes(made: SecuredBroker) -> dict[str, str]:
    """Of every user, what is known of its password."""
    lines = [line.split() for line in (made.folder / "redis/users.acl").read_text().splitlines()]
    return {words[1]: next((w for w in words if w.startswith("#")), "") for words in lines}


def everything(made: SecuredBroker) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}


def test_nobody_else_may_read_any_of_it(made: SecuredBroker) -> None:
    for path in (made.folder, *made.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert hashes(made).keys() == {
        "default",
        *(f"tonnage-{name}" for name in ("admin", "coordinator", "viewer", "events", "simulated")),
        "tonnage-worker-h1",
        "tonnage-worker-h2",
    }
    users = (made.folder / "redis/users.acl").read_text()
    for place in ("coordinator", "viewer", "simulated", "hosts/h1", "hosts/h2", "redis/admin"):
        password = made.url(place).partition("//")[2].partition("@")[0].rpartition(":")[2]
        assert len(password) >= 32
        assert password not in users
    assert len(set(hashes(made).values())) == len(hashes(made))


def test_each_machine_is_told_who_it_is(made: SecuredBroker) -> None:
    told = (made.folder / "hosts/h1/tonnage.env").read_text().splitlines()
    assert "TONNAGE_NAME=h1" in told
    (broker,) = (line for line in told if line.startswith("TONNAGE_BROKER="))
    assert broker.startswith("TONNAGE_BROKER=rediss://tonnage-worker-h1:")
    assert broker.endswith(f"@localhost:{made.port}/0?ssl_ca_certs=/etc/tonnage/ca.pem")


def test_made_again_it_is_the_same(made: SecuredBroker) -> None:
    before = everything(made)
    assert call("make", str(made.folder)).returncode == 0
    assert everything(made) == before
    assert call("make", str(made.folder), "--host", "h3").returncode == 0
    after = everything(made)
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed == {"users.acl"}
    assert (made.folder / "hosts/h3/tonnage.env").exists()


def test_a_folder_that_was_handed_over_keeps_its_password(made: SecuredBroker) -> None:
    before = hashes(made)
    for path in (made.folder / "hosts/h1").iterdir():
        path.unlink()
    (made.folder / "hosts/h1").rmdir()
    assert call("add-host", str(made.folder), "h1", "h3").returncode == 0
    assert hashes(made) == before | {"tonnage-worker-h3": hashes(made)["tonnage-worker-h3"]}


def test_a_new_certificate_is_of_the_same_authority(made: SecuredBroker) -> None:
    authority, old = made.folder / "ca.pem", (made.folder / "redis/server.pem").read_bytes()
    before = authority.read_bytes()
    assert call("renew", str(made.folder), "--name", "new.example", "--name", "10.0.0.5").returncode == 0
    assert authority.read_bytes() == before
    assert (made.folder / "redis/server.pem").read_bytes() != old
    for option in ("-verify_hostname=new.example", "-verify_ip=10.0.0.5", "-verify_ip=127.0.0.1"):
        check = ["openssl", "verify", *option.split("="), "-CAfile", str(authority)]
        ran = subprocess.run([*check, str(made.folder / "redis/server.pem")], capture_output=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_without_its_key_no_authority_is_made_anew(made: SecuredBroker) -> None:
    (made.folder / "ca.key").unlink()
    assert call("add-host", str(made.folder), "h3").returncode == 0  # needs none
    answer = call("renew", str(made.folder))
    assert answer.returncode == 1
    assert "ca.key: bring it back" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("make", "{new}"), "--name NAME"),
        (("make",), "make needs a folder"),
        (("make", "{new}", "--name", "x;y"), "not 'x;y'"),
        (("make", "{new}", "--name", "b", "--host", "../h1"), "'../h1' is no host's name"),
        (("make", "{new}", "--name", "b", "--host", "h*"), "'h*' is no host's name"),
        (("make", "{new}", "--name", "b", "--host", "sim-0001"), "a simulated host"),
        (("make", "{new}", "--name", "b", "--port", "x"), "not 'x'"),
        (("make", "{new}", "--name", "b", "--files-at", "a b"), "not 'a b'"),
        (("make", "{new}", "--name", "b", "--prot", "1"), "no option '--prot'"),
        (("add-host", "{new}", "h1"), "was not made by"),
        (("remove", "{new}"), "usage:"),
    ],
)
def test_what_makes_no_sense_is_refused_and_makes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    answer = call(*(argument.replace("{new}", str(tmp_path / "new")) for argument in arguments))
    assert answer.returncode == 1
    assert complaint in answer.stderr
    assert not list(tmp_path.rglob("*.pem"))


def test_a_host_that_is_not_there_is_not_removed(made: SecuredBroker) -> None:
    answer = call("remove-host", str(made.folder), "h9")
    assert answer.returncode == 1
    assert "no user for a host 'h9'" in answer.stderr


@contextmanager
def started(made: SecuredBroker) -> Iterator[SecuredBroker]:
    redis_server()
    ran = call("start", str(made.folder))
    try:
        assert ran.returncode == 0, ran.stderr
        yield made
    finally:
        call("stop", str(made.folder))


@pytest.fixture
def running(made: SecuredBroker) -> Iterator[SecuredBroker]:
    yield from session("redis", lambda: started(made))


@pytest.mark.redis
def test_a_redis_that_runs_takes_over_who_comes_and_goes(running: SecuredBroker) -> None:
    folder = str(running.folder)
    assert "runs already" in call("start", folder).stderr
    url = running.url("hosts/h1")
    trust = url.replace("hosts/h1", "hosts/h2")
    with connect(url) as gone:
        assert call("remove-host", folder, "h1").returncode == 0
        with pytest.raises(redis.RedisError):
            gone.ping()
    with pytest.raises(BrokerError, match="are user and password those"):
        connect(trust)
    assert call("add-host", folder, "h1").returncode == 0
    connect(running.url("hosts/h1")).close()
    assert running.url("hosts/h1") != url
    with connect(running.url("hosts/h2")) as kept, pytest.raises(redis.exceptions.NoPermissionError):
        kept.get("tonnage:host:h1")
    assert "tonnage-worker-h2" in call("refused", folder).stdout
    assert call("stop", folder).returncode == 0
    assert not running.answers()
    assert list((running.folder / "redis" / "appendonlydir").iterdir())
