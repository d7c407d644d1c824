"""What workers say of themselves: a hostile one is shown as it is, and ends no command of anybody."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UseError
from contract.signing import Keys, make_keys, seal
from orchestrator.cli.hosts import _host_row
from orchestrator.cli.standing import _claim
from orchestrator.cli.tabulate import tabulate
from orchestrator.fleet import HostEntry, _entry, _name, _opened, read_activity
from orchestrator.heard import MAX_BYTES

GOOD = {
    "contract": 1,
    "labels": {"rack": "r1"},
    "facts": {"cpu_count": 4, "mem_bytes": 2**34},
    "engines": {"docker": {"present": True, "version": "27"}},
}
BEAT = {"mem_available_bytes": 2**33, "clock_offset_ns": 1500, "clock_error_ns": 10}


def entry(registered: Any, beat: Any = BEAT, activity: Any = None, quarantine: Any = None) -> HostEntry:
    said = [None if one is None else _raw(one) for one in (beat, activity, quarantine)]
    return _entry("h1", _opened("h1", _raw(registered), None), said)


def _raw(said: Any) -> bytes:
    return said if isinstance(said, bytes) else json.dumps(said).encode()


def begins(said: bytes) -> str:
    """A name for what may be long."""
    return repr(said[:20])


def shown(host: HostEntry) -> str:
    return "\n".join(tabulate([_host_row(host)]))


def test_what_workers_say_is_shown() -> None:
    host = entry(GOOD, activity={"experiment": "lifecycle", "driver": "docker", "profile": "p"})
    assert (host.state, host.traits["mem_gib"]) == ("busy", 16.0)
    assert "docker 27" in shown(host)
    assert "lifecycle docker/p" in shown(host)


@pytest.mark.parametrize(
    "registered",
    [
        b"", b"[]", b"5", b"{", b"\xff", b"[" * 200_000, b"{" + b" " * MAX_BYTES + b"}",
        GOOD | {"labels": ["rack"]},
        GOOD | {"labels": {"rack": {"a": 1}}},
        GOOD | {"facts": {"x": float("nan")}},
        GOOD | {"facts": {"x": 10**400}},
        GOOD | {"engines": {"docker": 5}},
        GOOD | {"contract": "x"},
    ],
    ids=lambda given: str(given)[:40],
)  # fmt: skip
def test_a_registration_that_is_none_takes_part_in_nothing(registered: Any) -> None:
    host = entry(registered)
    assert (host.state, host.alive) == ("unreadable", False)
    assert "unreadable" in shown(host)
    json.dumps(host.as_dict())


@pytest.mark.parametrize(
    "said",
    [b"[]", b"{", b'{"clock_offset_ns": "x", "since_ns": [], "why": 5}', b"[" * 100_000, b"\xff"],
    ids=begins,
)
def test_other_words_that_are_none_are_passed_over(said: bytes) -> None:
    host = entry(GOOD, beat=said, activity=said, quarantine=said)
    assert (host.state, host.beat, host.activity) == ("quarantined", {}, {})
    assert host.quarantine["why"] == "no reason given"
    assert shown(host)
    assert read_activity(said) == ""


@pytest.mark.parametrize("odd", ["many", None, [1], True, -1])
def test_facts_of_another_kind_are_shown_and_compared_as_they_are(odd: Any) -> None:
    host = entry(GOOD | {"facts": {"cpu_count": odd, "mem_bytes": odd}})
    assert shown(host)
    assert isinstance(host.traits, dict)


def test_no_word_of_a_worker_steers_a_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\r\nfake  idle"
    host = entry(
        GOOD | {"labels": {evil: evil}, "engines": {evil: {"present": True, "version": evil}}},
        activity={"experiment": evil, "driver": evil, "profile": evil},
    )
    line = shown(host)
    assert line.isprintable()
    assert "\\x1b[2J" in line


@pytest.mark.parametrize("last", ["signed", "forged"])
def test_what_is_signed_is_what_is_believed_whichever_of_two_texts_a_reader_takes(
    tmp_path: Path, last: str
) -> None:
    make_keys(tmp_path, ["h1"])
    keys = Keys(tmp_path)
    sealed = seal(keys.of("h1"), "registration", "h1", json.dumps(GOOD))
    forged = json.dumps(GOOD | {"labels": {"rack": "forged"}})
    texts = [forged, sealed["text"]] if last == "signed" else [sealed["text"], forged]
    twice = ", ".join(f'"text": {json.dumps(text)}' for text in texts)
    said = f'{{"contract": 1, "host": "h1", {twice}, "mac": "{sealed["mac"]}"}}'.encode()
    opened = _opened("h1", said, keys)
    assert opened.said is not None
    assert (opened.said.labels == GOOD["labels"]) is (opened.unbelieved == "") is (last == "signed")


@pytest.mark.parametrize("key", [b"../h1", b"\xff", b"H1", b"h1\n", b"", b"\x1b[2J", b"a" * 64])
def test_what_no_host_can_be_called_is_none(key: bytes) -> None:
    assert _name(key) is None


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"run": "r"}', b"[" * 20_000], ids=begins)
def test_a_claim_that_is_none_is_told(said: bytes) -> None:
    with pytest.raises(UseError, match="none of ours"):
        _claim(said)
