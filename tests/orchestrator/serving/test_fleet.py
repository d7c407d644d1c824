"""The fleet's page over a real broker."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_rig import TOKEN, Rig

from contract import CONTRACT_VERSION, wire
from contract.broker import connect
from contract.signing import Keys, make_keys, seal
from orchestrator.cli.serving import fleet as fleet_module
from orchestrator.cli.views.host_rows import SORTS
from orchestrator.fleet import quarantine_host

pytestmark = pytest.mark.redis
NAMES = ("served-1", "served-2")


@pytest.fixture
def fleet(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Two hosts, the first alive, the second in quarantine as well; read anew for every page."""
    monkeypatch.setattr(fleet_module, "FRESH_S", -1.0)
    monkeypatch.setattr(fleet_module, "EVERY_S", 0.0)
    client = connect(redis_url)
    client.delete(wire.REGISTRY)  # other tests may have left hosts
    entry = {"contract": CONTRACT_VERSION, "engines": {"docker": {"present": True, "version": "29"}}}
    for name in NAMES:
        client.hset(wire.REGISTRY, name, wire.REGISTERED)
        client.set(wire.registration_key(name), json.dumps(entry))
        beat = {"at": time.time(), "clock_offset_ns": 0, "clock_error_ns": 1}
        client.set(wire.heartbeat_key(name), json.dumps(beat))
    quarantine_host(client, NAMES[1], "failed five trials in a row")
    with Rig.over(tmp_path, token=TOKEN, broker=redis_url) as rig:
        rig.enter(TOKEN)
        yield rig
    client.hdel(wire.REGISTRY, *NAMES)
    keys = (wire.registration_key, wire.heartbeat_key, wire.quarantine_key)
    client.delete(*(key(name) for name in NAMES for key in keys))


def test_hosts_are_shown_and_released(fleet: Rig) -> None:
    text = fleet.get("/?q=served").text
    assert "docker 29" in text
    assert "failed five trials in a row" in text
    assert fleet.post("/release", host=NAMES[1]).headers["location"] == f"/?q={NAMES[1]}"
    assert "failed five trials" not in fleet.get("/?q=served").text
    assert "is not in quarantine" in fleet.post("/release", host=NAMES[0]).text


EVIL = "<script>\x1b[2J"
HOSTILE: dict[str, Any] = {
    "unreadable": [],
    "other version": {"contract": 99, "facts": {"mem_bytes": EVIL, "cpu_count": {EVIL: EVIL}}},
    "idle": {
        "contract": CONTRACT_VERSION,
        "labels": {EVIL: EVIL},
        "facts": {"mem_bytes": [1], "cpu_count": -1},
        "engines": {EVIL: {"present": EVIL, "version": [EVIL]}, "docker": {"reason": {EVIL: 1}}},
    },
}


@pytest.mark.parametrize("state", HOSTILE)
def test_whatever_a_host_says_of_itself_the_page_shows_all_hosts(
    fleet: Rig, redis_url: str, state: str
) -> None:
    client = connect(redis_url)
    client.set(wire.registration_key(NAMES[0]), json.dumps(HOSTILE[state]))
    beat = {"at": -1e300, "clock_offset_ns": 2**61, "clock_error_ns": -(2**61)}
    client.set(wire.heartbeat_key(NAMES[0]), json.dumps(beat))
    for sort in SORTS:
        answer = fleet.get(f"/?q=served&sort={sort}")
        assert answer.status_code == 200
        assert all(name in answer.text for name in NAMES)
        assert EVIL not in answer.text
    assert NAMES[0] in fleet.get(f"/?q=served&state={state}").text
    assert f"<option selected>{state}</option>" in fleet.get(f"/?state={state}").text


def test_only_registered_hosts_are_swept(fleet: Rig) -> None:
    assert "no host &#39;--broker&#39; is registered" in fleet.post("/sweep", host="--broker").text
    assert fleet.serving.jobs.latest("sweep") == []


def test_who_looks_is_told_of_changes_only(fleet: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(fleet.serving.hub, "changed", told.append)
    fleet.serving.fleet.refresh()
    fleet.serving.fleet.refresh()
    assert told == ["fleet"]
    fleet.serving.fleet.release(NAMES[1])
    fleet.serving.fleet.refresh()
    assert told == ["fleet", "fleet"]


@pytest.fixture
def keys(fleet: Rig, tmp_path: Path, redis_url: str) -> Path:
    """Of both hosts; the first registration is signed with its key, the second with another one."""
    folder = tmp_path / "keys"
    make_keys(folder, NAMES)
    make_keys(tmp_path / "stolen", NAMES)
    client = connect(redis_url)
    for name, place in zip(NAMES, (folder, tmp_path / "stolen"), strict=True):
        text = json.dumps({"contract": CONTRACT_VERSION, "engines": {}})
        sealed = seal(Keys(place).of(name), "registration", name, text)
        client.set(wire.registration_key(name), json.dumps(sealed))
    return folder


def test_a_forged_registration_is_said_where_there_are_keys(
    fleet: Rig, keys: Path, tmp_path: Path, redis_url: str
) -> None:
    client = connect(redis_url)
    client.delete(wire.quarantine_key(NAMES[1]))
    with Rig.over(tmp_path, token=TOKEN, broker=redis_url, keys=keys) as rig:
        rig.enter(TOKEN)
        text = rig.get("/?q=served").text
        assert "1 registration cannot be believed" in text
        assert text.count("its registration is not believed: the signature does not fit key") == 1
        assert '<th scope="row">served-2</th>' in rig.get("/?state=unsigned&sort=state").text
        entry = {"contract": CONTRACT_VERSION, "engines": {}}
        client.set(wire.registration_key(NAMES[0]), json.dumps(entry))
        text = rig.get("/?q=served").text
        assert "2 registrations cannot be believed" in text
        assert "not signed, and host &#39;served-1&#39; has a key" in text


def test_without_keys_it_is_said_that_signed_orders_are_wanted(fleet: Rig, keys: Path) -> None:
    text = fleet.get("/?q=served").text
    assert "2 hosts take signed orders only, and this server has no keys" in text
    assert "cannot be believed" not in text


def test_a_key_that_was_replaced_counts_from_the_next_reading(
    fleet: Rig, keys: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "KEYS_FOR_S", -1.0)
    with Rig.over(tmp_path, broker=redis_url, keys=keys) as rig:
        assert "1 registration cannot be believed" in rig.get("/").text
        (tmp_path / "stolen" / f"{NAMES[1]}.key").replace(keys / f"{NAMES[1]}.key")
        assert "cannot be believed" not in rig.get("/").text
        keys.rename(tmp_path / "elsewhere")
        assert "is not a folder of keys" in rig.get("/").text
