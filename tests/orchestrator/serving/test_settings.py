"""What the server is told, and what it refuses before it listens."""

from pathlib import Path

import pytest

from contract.errors import UseError
from orchestrator.cli.serving.settings import ServeSettings, parse_listen, read_token, settings_of


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_where_to_listen(text: str, found: tuple[str, int]) -> None:
    assert parse_listen(text) == found


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "example.org:80", "127.0.0.1:x", "127.0.0.1:70000", ""]
)
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(UseError, match=r"--listen: found .*; allowed: "):
        parse_listen(text)


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"])
def test_others_are_let_in_with_a_token_only(listen: str, token: Path) -> None:
    with pytest.raises(UseError, match="reading needs a token"):
        settings_of(listen, None)
    assert not settings_of(listen, token).loopback


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1"])
def test_this_machine_needs_none(listen: str) -> None:
    assert settings_of(listen, None).loopback


def test_a_token_that_everybody_can_read_is_refused(token: Path) -> None:
    assert read_token(token) == "0123456789abcdef"
    token.chmod(0o644)
    with pytest.raises(UseError, match="everybody can read it") as refused:
        read_token(token)
    assert "0123456789abcdef" not in str(refused.value)


def test_a_token_that_can_be_guessed_is_refused(token: Path) -> None:
    token.write_text("short")
    with pytest.raises(UseError, match="found 5 characters"):
        read_token(token)


def test_folders_must_be_there(tmp_path: Path) -> None:
    settings = ServeSettings("127.0.0.1", 1)
    with pytest.raises(UseError, match="--results-root"):
        settings.over(tmp_path / "nothing", None, None)
    with pytest.raises(UseError, match="--campaigns needs --token"):
        settings.over(tmp_path, None, tmp_path)
