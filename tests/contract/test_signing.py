"""Whatever is changed of a signed message, it is refused; and a key is nobody else's to read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import CONTRACT_VERSION
from contract.errors import KeyFileError, MessageError
from contract.signing import (
    HostKey,
    Keys,
    fingerprint,
    host_key,
    list_keys,
    make_keys,
    read_key,
    seal,
    unseal,
)

KEY, OTHER = HostKey(b"k" * 32), HostKey(b"o" * 32)
TEXT = json.dumps(
    {"operation": "trial", "run": "a" * 32, "attempt": 1, "name": "é\0"}, ensure_ascii=False
)


def refused(sealed: object, key: HostKey = KEY, purpose: Any = "order", host: str = "h1") -> str:
    with pytest.raises(MessageError) as told:
        unseal(key, purpose, host, sealed)
    return told.value.cause


def test_what_was_signed_comes_back_as_it_was() -> None:
    over_the_wire = json.loads(json.dumps(seal(KEY, "order", "h1", TEXT)))
    assert unseal(KEY, "order", "h1", over_the_wire) == TEXT


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_no_character_of_the_text_can_be_another(place: int, other: str) -> None:
    sealed = seal(KEY, "order", "h1", TEXT)
    text = TEXT[:place] + other + TEXT[place + 1 :]
    if text != TEXT:
        assert refused(sealed | {"text": text}) == "altered"


@given(st.text(), st.text())
def test_nothing_can_be_moved_from_one_field_into_another(host: str, text: str) -> None:
    """Two messages have one signature only if they are one message."""
    if (host, text) != ("h1", TEXT):
        assert not KEY.fits(
            "order", host, text.encode(errors="replace"), KEY.mac("order", "h1", TEXT.encode())
        )


@given(st.text(alphabet="0123456789abcdefABCDEF\0é", max_size=70) | st.none() | st.integers())
def test_no_other_signature_fits(mac: object) -> None:
    assert refused(seal(KEY, "order", "h1", TEXT) | {"mac": mac}) == "altered"


def test_a_signature_is_worth_nothing_elsewhere() -> None:
    sealed = seal(KEY, "order", "h1", TEXT)
    assert refused(sealed, key=OTHER) == "altered"
    assert refused(sealed, purpose="record") == "altered"
    assert refused(sealed, host="h2") == "foreign"
    assert refused(sealed | {"host": "h2"}, host="h2") == "altered"
    assert refused(sealed | {"contract": CONTRACT_VERSION + 1}) == "version"
    assert refused(sealed | {"contract": True}) == "version"
    assert refused(sealed | {"more": 1}) == "malformed"
    assert refused(sealed | {"text": 3}) == "malformed"


@pytest.mark.parametrize(
    "content", [None, [], "x", {}, {"contract": CONTRACT_VERSION, "operation": "trial"}]
)
def test_what_is_not_signed_is_refused(content: object) -> None:
    assert refused(content) == "unsigned"


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_whatever_comes_has_a_fingerprint_and_is_refused(content: object) -> None:
    assert len(fingerprint(content)) == 32
    refused(content)


def test_keys_are_made_for_their_owner_alone_and_never_over_others(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    paths = make_keys(folder, ["h1", "h2"])
    assert [(path.name, path.stat().st_mode & 0o777) for path in paths] == [
        ("h1.key", 0o600),
        ("h2.key", 0o600),
    ]
    before = Keys(folder).of("h1").fingerprint
    with pytest.raises(KeyFileError, match=r"h1\.key is there already; --replace makes another"):
        make_keys(folder, ["h3", "h1"])
    assert sorted(list_keys(folder)) == ["h1", "h2"]
    assert Keys(folder).of("h1").fingerprint == before
    make_keys(folder, ["h1"], replace=True)
    assert Keys(folder).of("h1").fingerprint != before
    assert len({path.name for path in folder.iterdir()}) == 2


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o400, True), (0o644, False), (0o620, False), (0o666, False)]
)
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int, fine: bool) -> None:
    (path,) = make_keys(tmp_path, ["h1"])
    path.chmod(mode)
    if fine:
        assert read_key(path).fingerprint == host_key(tmp_path, "h1").fingerprint
        return
    with pytest.raises(KeyFileError, match=rf"others can read or change it \(mode {mode:04o}\)"):
        read_key(path)
    assert isinstance(list_keys(tmp_path)["h1"], KeyFileError)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_lends_a_key_to_a_group_and_nobody_else_owns_one(tmp_path: Path) -> None:
    (path,) = make_keys(tmp_path, ["h1"])
    path.chmod(0o640)
    read_key(path)
    os.chown(path, 12_345, 0)
    with pytest.raises(KeyFileError, match="it belongs to user 12345, who can change it"):
        read_key(path)


@pytest.mark.parametrize("text", ["", "x" * 64, "a" * 63, "A" * 64, "a" * 65, "ab" * 2000])
def test_what_is_no_key_is_said_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "h1.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(KeyFileError, match="64 hex digits are wanted") as told:
        read_key(path)
    assert not text or text not in str(told.value)


@pytest.mark.parametrize("name", ["../h1", "", "h1/../h1", "h\0", "H1"])
def test_a_hosts_name_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    make_keys(tmp_path, ["h1"])
    with pytest.raises(KeyFileError, match="no key for host"):
        Keys(tmp_path).of(name)


def test_a_missing_key_and_a_missing_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"h9\.key cannot be read: No such file.*tonnage keys make"):
        Keys(tmp_path).of("h9")
    with pytest.raises(KeyFileError, match="is not a folder of keys"):
        Keys(tmp_path / "none")


def test_a_key_does_not_show_itself() -> None:
    secret = (b"k" * 32).hex()
    assert secret not in f"{KEY!r} {KEY} {vars(KEY)['fingerprint']}"
