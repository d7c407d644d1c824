"""lifecycle: order of stamps, real concurrency, open loops, residents, warm-ups, caches, readiness."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import stats
from simulation import FAST, RealTimeDriver, Row, instances, measure, use_driver

import workers.host
from contract.catalog import Capability
from workers.drivers.base import Instance
from workers.experiments.lifecycle import Experiment, LifecycleParams
from workers.settings import HostSettings

MS = 1_000_000
EXACT = {"sigma": 0.0}
"""Every instance takes just the medians: create 20, start 30, boot 40, reply 10, stop, remove 20 ms."""


def lives(host: HostSettings, settings: dict[str, Any] | None = None, **params: Any) -> list[Row]:
    part = measure(host, params=params, settings=settings or {}, deadline_s=36_000.0)
    assert part.record.outcome == "completed", part.record.error_text
    return instances(part)


def measured(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not (row["resident"] or row["warm_up"])]


def in_flight(rows: list[Row]) -> list[int]:
    """How many instances were between call and reclaim just after each call."""
    return [
        sum(other["t_call"] <= row["t_call"] < other["t_reclaimed"] for other in rows) for row in rows
    ]


def test_every_stage_has_its_stamp_and_takes_its_time(host_settings: HostSettings) -> None:
    row = lives(host_settings, EXACT, instances=1)[0]
    since_intent = {
        "t_call": 0,
        "t_created": 20,
        "t_started": 50,
        "t_beacon": 90,
        "t_ready": 100,
        "t_stop_call": 100,
        "t_exited": 120,
        "t_gone": 140,
    }
    assert {stamp: (row[stamp] - row["t_intent"]) / MS for stamp in since_intent} == since_intent
    poll_ms = 50
    assert 150 <= (row["t_reclaimed"] - row["t_intent"]) / MS <= 150 + poll_ms


def test_stamps_are_in_order_under_load(host_settings: HostSettings) -> None:
    rows = lives(host_settings, {"sigma": 1.0, "slots": 3}, instances=100, concurrency=16, residents=4)
    for row in rows:
        up = ["t_intent", "t_call", "t_created", "t_started", "t_beacon", "t_ready"]
        way = [row[stamp] for stamp in (*up, "t_stop_call", "t_gone", "t_reclaimed")]
        assert way == sorted(way)
        assert row["t_stop_call"] <= row["t_exited"] <= row["t_gone"]


@pytest.mark.parametrize("concurrency", [1, 4, 10])
def test_a_closed_batch_keeps_just_so_many_in_flight(
    host_settings: HostSettings, concurrency: int
) -> None:
    rows = lives(host_settings, {"sigma": 0.5}, instances=40, concurrency=concurrency)
    counts = in_flight(rows)
    assert max(counts) == concurrency
    # Once full, an instance only comes when another has gone.
    assert counts[concurrency - 1 :] == [concurrency] * (40 - concurrency + 1)
    assert {row["concurrency"] for row in rows} == {concurrency}


def test_more_lanes_than_instances_are_no_harm(host_settings: HostSettings) -> None:
    assert max(in_flight(lives(host_settings, instances=3, concurrency=50))) == 3


def test_open_loop_arrivals_do_not_wait_for_a_slow_engine(host_settings: HostSettings) -> None:
    quick, slow = (
        lives(
            host_settings,
            {"create_ms": create_ms, "slots": 1},
            instances=60,
            arrival_rate_per_s=20.0,
            ready_deadline_s=3600,
        )
        for create_ms in (1, 2000)
    )
    intents = [row["t_intent"] for row in quick]
    assert [row["t_intent"] for row in slow] == intents
    assert [row["t_call"] for row in slow] == intents  # called at once, however long the queue
    assert max(in_flight(slow)) > 50 > max(in_flight(quick))
    assert {row["concurrency"] for row in quick} == {0}


def test_open_loop_arrivals_are_poisson(host_settings: HostSettings) -> None:
    rows = lives(host_settings, instances=2000, arrival_rate_per_s=100.0)
    intents = [0, *(row["t_intent"] for row in rows)]
    gaps_s = [(late - early) / 1e9 for early, late in pairwise(intents)]
    assert stats.kstest(gaps_s, stats.expon(scale=1 / 100).cdf).pvalue > 0.01


def test_residents_are_there_during_the_whole_measurement(host_settings: HostSettings) -> None:
    rows = lives(host_settings, instances=8, concurrency=2, residents=5, warm_ups=2)
    residents = [row for row in rows if row["resident"]]
    others = [row for row in rows if not row["resident"]]
    assert len(residents) == 5
    assert max(row["t_ready"] for row in residents) <= min(row["t_intent"] for row in others)
    assert min(row["t_stop_call"] for row in residents) >= max(row["t_reclaimed"] for row in others)
    assert {row["residents"] for row in rows} == {5}


def test_warm_ups_come_first_and_are_marked(host_settings: HostSettings) -> None:
    rows = lives(host_settings, instances=6, concurrency=3, warm_ups=4)
    warm_ups = [row for row in rows if row["warm_up"]]
    assert [row["instance"] for row in warm_ups] == [0, 1, 2, 3]
    first = min(row["t_intent"] for row in measured(rows))
    assert max(row["t_reclaimed"] for row in warm_ups) <= first


def test_instances_are_held_between_ready_and_stop(host_settings: HostSettings) -> None:
    rows = lives(host_settings, instances=3, hold_s=90)
    assert {row["t_stop_call"] - row["t_ready"] for row in rows} == {90_000 * MS}


def test_an_instance_that_never_became_ready_is_not_held(host_settings: HostSettings) -> None:
    part = measure(host_settings, params={"instances": 3, "hold_s": 90}, settings={"failure_share": 1.0})
    assert all(row["t_stop_call"] < 1000 * MS for row in instances(part))


@pytest.mark.parametrize(
    ("ready", "missing"), [("started", {"t_beacon"}), ("beacon", set()), ("reply", set())]
)
def test_the_ready_level_says_how_far_to_wait(
    host_settings: HostSettings, ready: str, missing: set[str]
) -> None:
    row = lives(host_settings, EXACT, instances=1, ready=ready)[0]
    took_ms = {"started": 50, "beacon": 90, "reply": 100}[ready]
    assert (row["t_ready"] - row["t_intent"]) / MS == took_ms
    others = {"t_fault", "t_detect", "t_act", "t_pull", "t_pulled", "t_unpacked"}
    unset = {stamp for stamp, at in row.items() if stamp.startswith("t_") and at is None}
    assert unset - others == missing
    assert row["ready_level"] == ready


def test_a_graceful_stop_asks_first(host_settings: HostSettings) -> None:
    row = lives(host_settings, EXACT, instances=1, graceful=True)[0]
    assert (row["t_exited"] - row["t_stop_call"]) / MS == 40


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"cache": "page_cold", "concurrency": 2}, "when cache is not warm"),
        ({"cache": "image_cold", "residents": 1}, "when cache is not warm"),
        ({"cache": "page_cold", "arrival_rate_per_s": 1}, "when cache is not warm"),
        ({"concurrency": 2, "arrival_rate_per_s": 1}, "either concurrency"),
        ({"ready": "tcp:0"}, "a port from 1 to 65535"),
        ({"ready": "http:65536/"}, "a port from 1 to 65535"),
        ({"ready": "http:80"}, "started, beacon, reply, tcp:PORT or http:PORT/PATH"),
        ({"ready": "reply\n"}, "started, beacon, reply, tcp:PORT or http:PORT/PATH"),
        ({"instances": 0}, "greater than or equal to 1"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_impossible_parameters_are_refused(params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        LifecycleParams.model_validate(params)


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({}, {Capability.CONSOLE}),
        ({"ready": "started"}, set()),
        ({"ready": "tcp:80"}, {Capability.ADDRESS}),
        ({"ready": "started", "graceful": True}, {Capability.GRACEFUL_STOP}),
        ({"cache": "page_cold"}, {Capability.CONSOLE}),
        ({"cache": "image_cold"}, {Capability.CONSOLE, Capability.COLD_IMAGE}),
    ],
)
def test_needs_follow_the_parameters(params: dict[str, Any], needs: set[Capability]) -> None:
    assert Experiment.needs(LifecycleParams.model_validate(params)) == needs


class Noting(RealTimeDriver):
    """Notes when the image goes and comes, and when the page cache is emptied."""

    notes: list[str]

    async def drop_image(self, image: str) -> None:
        self.notes.append(f"drop {image}")

    async def prepare(self, image: str) -> None:
        self.notes.append(f"prepare {image}")

    async def create(self, spec: Any) -> Instance:
        self.notes.append("create")
        return await super().create(spec)


@pytest.mark.parametrize(
    ("cache", "each"),
    [
        ("warm", ["create"]),
        ("page_cold", ["empty", "create"]),
        ("image_cold", ["drop tiny", "empty", "prepare tiny", "create"]),
    ],
)
def test_caches_are_as_cold_as_asked_for(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch, cache: str, each: list[str]
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(Noting, "notes", notes, raising=False)
    monkeypatch.setattr(workers.host, "can_drop_caches", lambda: True)
    monkeypatch.setattr(workers.host, "drop_caches", lambda: notes.append("empty"))
    use_driver(monkeypatch, Noting)
    lives(host_settings, FAST, instances=2, cache=cache)
    assert notes == ["prepare tiny", *each * 2]


def test_without_the_right_to_empty_caches_the_trial_says_so(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.host, "can_drop_caches", lambda: False)
    use_driver(monkeypatch, RealTimeDriver)
    record = measure(host_settings, params={"instances": 2, "cache": "page_cold"}, settings=FAST).record
    assert (record.outcome, record.error_class) == ("failed", "engine_error")
    assert "need root" in str(record.error_text)


def test_virtual_caches_are_cold_by_nature(host_settings: HostSettings) -> None:
    assert len(lives(host_settings, instances=2, cache="image_cold")) == 2


class Reachable(RealTimeDriver):
    """Every instance has this machine's address."""

    offers = RealTimeDriver.offers | {Capability.ADDRESS}

    async def address(self, instance: Instance) -> str:
        return "127.0.0.1"


class Answer(http.server.BaseHTTPRequestHandler):
    """A service that takes two requests to warm up."""

    seen = 0

    def do_GET(self) -> None:
        type(self).seen += 1
        if self.seen == 1:
            self.wfile.write(b"what is HTTP?\r\n\r\n")
            return
        self.send_response(503 if self.seen == 2 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[int]:
    Answer.seen = 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("level", ["tcp:{port}", "http:{port}/health"])
def test_a_users_own_service_is_ready_when_it_answers(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # for the world outside, not for instances
    use_driver(monkeypatch, Reachable)
    with serving() as port:
        rows = lives(host_settings, FAST, instances=1, ready=level.format(port=port))
    assert rows[0]["outcome"] == "ok"
    assert rows[0]["t_beacon"] is None
    assert Answer.seen == (3 if level.startswith("http") else Answer.seen)


def test_a_service_that_never_answers_is_late(
    host_settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_driver(monkeypatch, Reachable)
    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as closed:
        port = closed.server_address[1]
    params = {"instances": 1, "ready": f"tcp:{port}", "ready_deadline_s": 0.2}
    row = instances(measure(host_settings, params=params, settings=FAST))[0]
    assert row["outcome"] == "timeout"
    assert row["error_text"] == f"not ready within 0.2 s, at step 'tcp:{port}'"


def test_a_crowd_of_arrivals_is_cut_together(host_settings: HostSettings) -> None:
    part = measure(
        host_settings,
        params={"instances": 200, "arrival_rate_per_s": 100.0, "hold_s": 5},
        deadline_s=1.0,
    )
    rows = instances(part)
    assert len(rows) == 200
    begun = [row for row in rows if row["t_call"] is not None]
    assert 50 < len(begun) < 150
    assert all(row["t_reclaimed"] is not None for row in begun if row["t_created"] is not None)
