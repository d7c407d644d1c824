"""Log lines: one object per line whatever is in it, the trial on every line meanwhile, no passwords."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.log_lines import MAX_TEXT, LogSettings, measuring, set_up, stand_apart, without_secrets

log = logging.getLogger("tonnage.worker")
Lines = Callable[..., io.StringIO]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Sets the log up into a text of its own, and puts things back."""
    root, ours = logging.getLogger(), logging.getLogger("tonnage")
    before = (list(root.handlers), root.level, ours.level)

    def start(**settings: Any) -> io.StringIO:
        set_up(LogSettings(**settings))
        written = io.StringIO()
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
        return written

    yield start
    root.handlers[:], level, our_level = before[0], before[1], before[2]
    root.setLevel(level)
    ours.setLevel(our_level)


def objects(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in written.getvalue().splitlines()]


def test_a_line_is_one_object_with_time_level_logger_message_and_host(lines: Lines) -> None:
    written = lines(format="json", host="h1")
    log.warning("no %s:\nsee\x1b[31m above", "broker", extra={"event": "part_waiting", "count": 3})
    (said,) = objects(written)
    at = datetime.fromisoformat(said.pop("time"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert said == {
        "level": "warning",
        "logger": "tonnage.worker",
        "message": "no broker:\nsee\x1b[31m above",
        "host": "h1",
        "event": "part_waiting",
        "count": 3,
    }


def test_time_is_utc_with_milliseconds(lines: Lines) -> None:
    written = lines(format="json")
    record = logging.makeLogRecord({"name": "tonnage", "levelno": 30, "levelname": "WARNING"})
    record.created = 1_700_000_000.0
    logging.getLogger("tonnage").handle(record)
    assert objects(written)[0]["time"] == "2023-11-14T22:13:20.000Z"


def test_every_thread_names_the_trial_but_those_that_stand_apart(lines: Lines) -> None:
    written = lines(format="json", host="worker")

    def apart() -> None:
        stand_apart()
        log.info("presence")

    with measuring(trial="t1", attempt=2, host="sim-0007"):
        for target in (lambda: log.info("lease"), apart):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    log.info("after")
    lease, presence, after = objects(written)
    assert (lease["trial"], lease["attempt"], lease["host"]) == ("t1", 2, "sim-0007")
    assert "trial" not in presence
    assert "trial" not in after
    assert presence["host"] == after["host"] == "worker"


def test_an_exception_is_a_field(lines: Lines) -> None:
    written = lines(format="json")
    try:
        raise RuntimeError("redis://u:geheim@h:1/0")
    except RuntimeError:
        log.exception("failed")
    (said,) = objects(written)
    assert "RuntimeError" in said["exception"]
    assert "test_log_lines.py" in said["exception"]
    assert "geheim" not in written.getvalue()


def test_what_libraries_hang_on_a_record_stays_out(lines: Lines) -> None:
    written = lines(format="json")
    log.info("x", extra={"data": {"args": "a whole trial"}, "share": float("nan"), "left_s": 1.5})
    (said,) = objects(written)
    assert said["left_s"] == 1.5
    assert not {"data", "share"} & set(said)


@pytest.mark.parametrize("kind", ["text", "json"])
@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim@h/0",
        "rediss://u:ge/h:e@im@h/0",
        "amqp://u:geheim@h//",
        "redis://h/0?password=geheim",
    ],
)
def test_passwords_of_urls_are_left_out(lines: Lines, kind: str, url: str) -> None:
    written = lines(format=kind)
    log.error("broker %s: refused", url, extra={"broker": url})
    assert "geheim" not in written.getvalue()
    assert "im@" not in written.getvalue()
    assert "refused" in written.getvalue()


def test_what_is_no_password_stays() -> None:
    text = "trial a: see https://example/x:y and mail me@example"
    assert without_secrets(text) == text


def test_text_cannot_forge_a_second_line(lines: Lines) -> None:
    written = lines()
    log.error(
        "message refused: %s", "x\n2026-01-01 00:00:00,000 INFO tonnage.worker: all is well\x1b[2J"
    )
    assert len(written.getvalue().splitlines()) == 1
    assert "\\x0a" in written.getvalue()
    assert "\x1b" not in written.getvalue()


def test_levels_are_ours_and_other_libraries_only_warn(lines: Lines) -> None:
    written = lines(level="debug")
    log.debug("ours")
    logging.getLogger("kombu").info("theirs")
    logging.getLogger("kombu").warning("their trouble")
    assert [line.split(": ")[-1] for line in written.getvalue().splitlines()] == [
        "ours",
        "their trouble",
    ]
    written = lines(level="error")
    log.warning("ours")
    assert written.getvalue() == ""


@pytest.mark.parametrize("piece", ["a", "a://x:", "redis://u:geheim", "password=", "://:", "+"])
def test_no_text_makes_a_line_long_or_slow(lines: Lines, piece: str) -> None:
    written = lines(format="json")
    log.error("message refused: %s", piece * (2_000_000 // len(piece)))
    log.error("%s", piece * (MAX_TEXT // len(piece)))
    assert len(written.getvalue()) < 3 * MAX_TEXT


def test_a_password_is_not_laid_open_by_cutting(lines: Lines) -> None:
    written = lines(format="json")
    log.error("%s redis://u:geheim@h/0", "x" * (MAX_TEXT - 15))
    assert "gehe" not in written.getvalue()
