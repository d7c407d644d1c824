"""Text of the capacity calculator's fields and values of a demand: from one to the other and back."""

import re
from pathlib import Path
from typing import Any

import yaml

from contract.errors import CampaignError
from contract.yaml_source import YamlSource
from orchestrator.cli.serving.capacity_fields import Kind

_WHOLE = re.compile(r"^\d{1,12}\Z")
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\Z", re.IGNORECASE)
_SAID = {"yes": True, "no": False}


def value_of(kind: Kind, text: str) -> Any:
    """What a field's text says. What cannot be read stays text, for the demand to complain of."""
    if kind == "words":
        return _listed(text)
    if kind == "pairs":
        return _paired(text)
    if kind == "yes_no":
        return _SAID.get(text, text)
    return text if kind in ("text", "prose") else scalar(text)


def text_of(kind: Kind, value: Any) -> str:
    """The text that says a value of a demand file, so that ``value_of`` gives that value again."""
    if kind == "yes_no":
        return {said: word for word, said in _SAID.items()}.get(value, str(value))
    if kind == "words":
        plain = ", ".join(map(str, value))
    elif kind == "pairs":
        plain = ", ".join(f"{key}={one}" for key, one in value.items())
    else:
        return str(value)
    return plain if value_of(kind, plain) == value else _flow(value)


def scalar(text: str) -> str | int | float:
    """A number where it is one; amounts with units stay text, which the demand knows how to read."""
    if _WHOLE.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def _listed(text: str) -> Any:
    """Words between commas; or, for words that hold some, a list as YAML has it."""
    return _read(text) if text.startswith("[") else [scalar(word) for word in _words(text)]


def _paired(text: str) -> Any:
    """``workload=light, memory=64``; or, for what that cannot say, a mapping as YAML has it."""
    if text.startswith("{"):
        return _read(text)
    pairs = [word.partition("=") for word in _words(text)]
    if any(not equals for _, equals, _ in pairs):
        return text
    return {key.strip(): scalar(value.strip()) for key, _, value in pairs}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _read(text: str) -> Any:
    """As the demand's file would be read, with the same bounds on what may be nested in what."""
    try:
        return YamlSource(Path("field"), text).data
    except CampaignError:
        return text


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return text.strip()
