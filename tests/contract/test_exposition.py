"""The page of metrics: addresses, a port in use, clients that say nothing, the file."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from contract import exposition
from contract.errors import UseError
from contract.exposition import Exposition, instruments
from contract.metric_names import MetricName
from contract.observing import MetricsSettings, parse_address

NAMES = (
    MetricName("tonnage_things_total", "counter", "things", ("kind",)),
    MetricName("tonnage_now_seconds", "gauge", "now"),
    MetricName("tonnage_long_seconds", "histogram", "how long", (), (1.0, 2.0)),
)


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    found = instruments(NAMES, "host", made)
    found["tonnage_things_total"].labels("h1", "good").inc(2)  # type: ignore[union-attr]
    return made


def get(url: str) -> str:
    with urlopen(url, timeout=20) as answer:  # noqa: S310
        said: bytes = answer.read()
    return said.decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("h1.example:65535", ("h1.example", 65535)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_an_address_is_a_port_or_has_one(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text", ["", "x", ":1", "::1:9464", "http://h:1", "1:2:3", "65536", "h:", "-1", "1\n"]
)
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(UseError, match="allowed: a port such as 9464"):
        parse_address(text)


def test_the_page_has_what_was_counted_and_nothing_about_creation(registry: CollectorRegistry) -> None:
    shown = Exposition(MetricsSettings(address="0"), registry)
    with shown.shown():
        page = get(shown.url)
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert set(families) == {"tonnage_things", "tonnage_now_seconds", "tonnage_long_seconds"}
    (sample,) = families["tonnage_things"].samples
    assert (sample.labels, sample.value) == ({"host": "h1", "kind": "good"}, 2)


def test_a_port_in_use_is_told(registry: CollectorRegistry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UseError, match=f"--metrics: {address} cannot be listened on: .*in use"):
            Exposition(MetricsSettings(address=address), registry)


def test_an_address_of_another_machine_is_told(registry: CollectorRegistry) -> None:
    with pytest.raises(UseError, match="an address of this machine"):
        Exposition(MetricsSettings(address="203.0.113.1:9464"), registry)


def drip(client: socket.socket) -> None:
    """Ask for ever: a letter now and then."""
    with contextlib.suppress(OSError):
        client.sendall(b"GET /metrics?x=")
        while True:
            client.sendall(b"y")
            time.sleep(0.01)


def test_clients_that_are_silent_or_slow_do_not_keep_others_waiting(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition._Silent, "patience_s", 0.2)
    shown = Exposition(MetricsSettings(address="0"), registry)
    with shown.shown():
        host, port = shown.url.split("/")[2].split(":")
        silent, half, slow = (socket.create_connection((host, int(port))) for _ in range(3))
        half.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        dripping = threading.Thread(target=drip, args=(slow,), daemon=True)
        dripping.start()
        assert "tonnage_things_total" in get(shown.url)
        dripping.join(timeout=30)
        assert not dripping.is_alive(), "it was cut off"
        for each in (silent, half, slow):
            each.close()


def test_the_thread_ends_with_the_block(registry: CollectorRegistry) -> None:
    shown = Exposition(MetricsSettings(address="0"), registry)
    with shown.shown():
        assert "metrics" in {thread.name for thread in threading.enumerate()}
    assert "metrics" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(OSError, match="refused"):
        get(shown.url)


def test_the_file_is_whole_and_others_may_read_it(registry: CollectorRegistry, tmp_path: Path) -> None:
    file = tmp_path / "tonnage.prom"
    shown = Exposition(MetricsSettings(textfile=file), registry)
    assert shown.url == ""
    shown.write()
    assert 'tonnage_things_total{host="h1",kind="good"} 2.0' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["tonnage.prom"]


def test_a_file_that_cannot_be_written_is_told(registry: CollectorRegistry, tmp_path: Path) -> None:
    with pytest.raises(UseError, match=r"--metrics-textfile: .*No such file"):
        Exposition(MetricsSettings(textfile=tmp_path / "no" / "x.prom"), registry)
