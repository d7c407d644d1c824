"""Settings in a file: what it may hold, who may see it, and what wins over it."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from contract.errors import CampaignError, UseError
from orchestrator.cli import app
from orchestrator.cli.settings_file import Settled, read_settings


def shown(path: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a command of one option each kind is given."""
    line = Settled(add_completion=False)
    got: dict[str, Any] = {}

    @line.command()
    def look(
        name: Annotated[str, typer.Option(envvar="TONNAGE_NAME")] = "nobody",
        label: Annotated[list[str] | None, typer.Option(envvar="TONNAGE_LABEL")] = None,
        state: Annotated[Path | None, typer.Option(envvar="TONNAGE_STATE_DIR")] = None,
        may: Annotated[bool | None, typer.Option("--may", envvar="TONNAGE_MAY_RESTART_ENGINES")] = None,
        wait_s: Annotated[float, typer.Option(envvar="TONNAGE_ENGINE_DEADLINE_S", min=1)] = 60,
        plain: int = 3,
    ) -> None:
        got.update(name=name, label=label, state=state, may=may, wait_s=wait_s, plain=plain)

    variables = {"TONNAGE_CONFIG": str(path)} | environment
    CliRunner().invoke(line, list(arguments), env=variables, catch_exceptions=False)
    return got


def settings(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "tonnage.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_an_option_wins_over_its_variable_that_over_the_file_and_it_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TONNAGE_NAME", raising=False)
    path = settings(tmp_path, "name: file\n")
    assert shown(path, "--name", "option", TONNAGE_NAME="variable")["name"] == "option"
    assert shown(path, TONNAGE_NAME="variable")["name"] == "variable"
    assert shown(path)["name"] == "file"
    assert shown(settings(tmp_path, ""))["name"] == "nobody"


def test_every_kind_of_option_can_be_set(tmp_path: Path) -> None:
    text = "label: [rack=3, zone=a]\nstate_dir: ~/t\nmay_restart_engines: true\nengine_deadline_s: 5\n"
    got = shown(settings(tmp_path, text))
    assert got["label"] == ["rack=3", "zone=a"]
    assert got["state"] == Path.home() / "t"
    assert got["may"] is True
    assert got["wait_s"] == 5.0
    assert got["plain"] == 3


def test_a_flag_that_is_off_stays_off(tmp_path: Path) -> None:
    assert shown(settings(tmp_path, "may_restart_engines: false\n"))["may"] is False


def test_a_bound_of_an_option_holds_in_the_file_too(tmp_path: Path) -> None:
    path = settings(tmp_path, "name: a\nengine_deadline_s: 0.5\n")
    with pytest.raises(
        UseError, match=r"tonnage\.yaml:2: 'engine_deadline_s': found 0\.5; allowed: .*1"
    ):
        shown(path)


WRONG = {
    "unknown key 'brokr' (did you mean 'broker'?)": "brokr: redis://h\n",
    "'name': found 7; allowed: text": "name: 7\n",
    "'name': found 'Bad'; allowed: 1 to 63": "name: Bad\n",
    "'may_restart_engines': found 'perhaps'; allowed: true or false": "may_restart_engines: perhaps\n",
    "'engine_deadline_s': found True; allowed: a number": "engine_deadline_s: true\n",
    "'label': found 'rack=3'; allowed: a list": "label: rack=3\n",
    "'label[0]': found 3; allowed: text": "label: [3]\n",
    "'state_dir': found 'state'; allowed: a path that begins with / or ~": "state_dir: state\n",
    "'libvirt_uri': found 'ftp://x'": "libvirt_uri: ftp://x\n",
    "allowed: a mapping of settings": "- broker\n",
    "this is not YAML": "name: [\n",
}


@pytest.mark.parametrize("complaint", WRONG)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, complaint: str) -> None:
    path = settings(tmp_path, WRONG[complaint])
    with pytest.raises(CampaignError) as caught:
        read_settings(path, app.keys)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


REMOTE = "broker: redis://user:s3cret@h:6379/0\n"


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UseError, match="chmod 640") as caught:
        read_settings(settings(tmp_path, REMOTE, 0o644), app.keys)
    assert "s3cret" not in str(caught.value)
    assert read_settings(settings(tmp_path, REMOTE, 0o640), app.keys)[0]["broker"]
    assert read_settings(settings(tmp_path, "broker: redis://h\n", 0o644), app.keys)[0]["broker"]


def test_a_file_that_everybody_can_change_is_refused(tmp_path: Path) -> None:
    """It names commands that the worker runs."""
    with pytest.raises(UseError, match="can change the file"):
        read_settings(settings(tmp_path, "lose_command: halt\n", 0o666), app.keys)


def test_doctor_says_where_every_setting_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings(tmp_path, f"name: h1\nregistry: 10.0.0.1:5000\nstate_dir: {tmp_path / 'state'}\n")
    monkeypatch.setattr("orchestrator.cli.doctor._examine", lambda *_: [])
    answer = CliRunner().invoke(
        app,
        ["doctor", "--json", "--config", str(path), "--name", "h2"],
        env={"TONNAGE_REGISTRY": "127.0.0.1:9", "TONNAGE_BROKER": "redis://u:s3cret@h/0"},
        catch_exceptions=False,
    )
    sources = {s["key"]: (s["value"], s["source"]) for s in json.loads(answer.stdout)["settings"]}
    assert sources["name"] == ("h2", "--name")
    assert sources["registry"] == ("127.0.0.1:9", "TONNAGE_REGISTRY")
    assert sources["broker"] == ("redis://u:…@h/0", "TONNAGE_BROKER")
    assert sources["state_dir"] == (str(tmp_path / "state"), f"{path}:3")
    assert sources["docker_socket"] == ("/var/run/docker.sock", "default")


def test_every_option_with_a_variable_is_a_key() -> None:
    assert {"broker", "name", "state_dir", "label", "engine_deadline_s", "policy"} <= set(app.keys)
    assert "config" not in app.keys
