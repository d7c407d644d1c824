"""YAML that remembers its lines, so that every complaint can name file, line and key."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contract.errors import CampaignError
from contract.nearest import did_you_mean, hinted
from contract.plain_text import printable, unsafe_character

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 100_000
"""Values a file may hold, so that aliases of aliases cannot fill the memory."""
MAX_INT_BITS = 64
_MOST_DIGITS = 100
"""Of what is read as anything but text: 1:1:1:… is a number to YAML, and takes long to add up."""
_MOST_COMPLAINTS = 20

_TYPE_WORDS = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "too_short": "at least one entry",
}
_KINDS = {"experiments": "a campaign", "shapes": "a demand", "rules": "a gate's rules"}
"""The key that tells a kind of file from the others."""
_TEXT_TAG = "tag:yaml.org,2002:str"

Location = tuple[str | int, ...]


class YamlSource:
    """One YAML file: its plain data, and the line of every key in it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[Location, int] = {}
        self._nodes = 0
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = None if node is None else self._build(node, ())
        except yaml.YAMLError as error:
            raise CampaignError(f"{path}: this is not YAML: {_yaml_problem(error)}") from error
        except RecursionError as error:  # the parser's own, before we can count levels
            raise CampaignError(f"{path}: nested deeper than {MAX_DEPTH} levels") from error

    def _build(self, node: yaml.Node, loc: Location) -> Any:
        self._nodes += 1
        if len(loc) > MAX_DEPTH or self._nodes > MAX_NODES:
            raise CampaignError(
                f"{self.path}:{node.start_mark.line + 1}: nested deeper than {MAX_DEPTH} levels "
                f"or more than {MAX_NODES} values"
            )
        self._lines.setdefault(loc, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(child, (*loc, i)) for i, child in enumerate(node.value)]
        return self._build_scalar(node)

    def _build_scalar(self, node: yaml.Node) -> Any:
        where = f"{self.path}:{node.start_mark.line + 1}"
        self._refuse_unsafe(node)
        if node.tag != _TEXT_TAG and ":" in node.value and len(node.value) > _MOST_DIGITS:
            raise CampaignError(f"{where}: {_shown(node.value)} is longer than a number or date may be")
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (ArithmeticError, ValueError, LookupError, AttributeError, yaml.YAMLError) as error:
            # PyYAML trips over `!!bool x` and the like in many ways
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            raise CampaignError(f"{where}: {_shown(node.value)} cannot be read as {kind}") from error
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise CampaignError(f"{where}: a whole number of more than {MAX_INT_BITS} bits")
        return value

    def _build_mapping(self, node: yaml.MappingNode, loc: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise CampaignError(f"{self.path}:{line}: a key that is not plain text")
            self._refuse_unsafe(key_node)
            key = str(key_node.value)
            if key in found:
                raise CampaignError(f"{self.path}:{line}: key '{show((*loc, key))}' stands here twice")
            self._lines[(*loc, key)] = line
            found[key] = self._build(value_node, (*loc, key))
        return found

    def _refuse_unsafe(self, node: yaml.Node) -> None:
        """What would steer the terminal of whoever is shown it, or cannot be written again."""
        if found := unsafe_character(node.value):
            where = f"{self.path}:{node.start_mark.line + 1}"
            raise CampaignError(f"{where}: {_shown(node.value)} holds the control character {found}")

    def line(self, loc: Location) -> int:
        """The line of the key at ``loc``, or of the nearest key around it."""
        while loc and loc not in self._lines:
            loc = loc[:-1]
        return self._lines.get(loc, 1)

    def error(self, loc: Location, found: object, allowed: str) -> CampaignError:
        """A complaint that names file, line, key, what was found and what is allowed."""
        if not loc and found is None:
            return CampaignError(f"{self.path}: the file is empty; allowed: {allowed}")
        where = f"{self.path}:{self.line(loc)}"
        return CampaignError(f"{where}: '{show(loc)}': found {_shown(found)}; allowed: {allowed}")

    def not_one_of(self, loc: Location, found: object, names: Iterable[str], kind: str) -> CampaignError:
        """A complaint about a value that is none of these ``names``, with the nearest one that is."""
        known = list(names)
        hint = did_you_mean(found, known)
        return self.error(loc, found, f"{kind} {', '.join(known)}{hint}")

    def unknown(self, loc: Location, allowed: Iterable[str]) -> CampaignError:
        """A complaint about a name that is not one of ``allowed``, with the nearest one that is."""
        names = sorted(allowed)
        hint = did_you_mean(loc[-1], names)
        where = f"{self.path}:{self.line(loc)}"
        return CampaignError(
            f"{where}: unknown key '{show(loc)}'{hint}; allowed: {', '.join(names) or 'none'}"
        )

    def refuse(
        self, error: ValidationError, model: type[BaseModel], base: Location = ()
    ) -> CampaignError:
        """Turn complaints of pydantic about the ``model`` read at ``base`` into ours, a line each."""
        if not base and (kind := _kind_of(self.data, model)):
            wanted = [f"'{name}'" for name, key in model.model_fields.items() if key.is_required()]
            return CampaignError(
                f"{self.path} is {kind}; wanted here: a file with {' and '.join(wanted)}"
            )
        lines: list[str] = []
        problems = error.errors()
        for problem in problems:
            if len(lines) == _MOST_COMPLAINTS:
                lines.append(f"{self.path}: and more like these")
                break
            loc = (*base, *problem["loc"])
            if problem["type"] == "too_short" and any(
                _is_inside(p["loc"], problem["loc"]) for p in problems
            ):
                continue  # pydantic counts only the entries that it accepted
            if problem["type"] == "extra_forbidden":
                lines.append(str(self.unknown(loc, _keys_of(model, problem["loc"]))))
            elif problem["type"] == "missing":
                lines.append(f"{self.path}:{self.line(loc)}: key '{show(loc)}' is missing")
            else:
                lines.append(str(self.error(loc, problem["input"], in_words(problem))))
        return CampaignError("\n".join(lines))


def in_words(problem: ErrorDetails) -> str:
    """What is allowed, in a person's words, where pydantic has found something else."""
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if problem["type"] in ("literal_error", "enum"):
        return hinted(message, problem["input"])
    return _TYPE_WORDS.get(problem["type"], message)


def load_yaml(path: Path) -> YamlSource:
    """Read one YAML file of at most ``MAX_BYTES``. Raises CampaignError when it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CampaignError(f"{path}: larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CampaignError(f"{path}: cannot be read: {error.strerror}{_near(path)}") from error
    except UnicodeDecodeError as error:
        raise CampaignError(f"{path}: is not UTF-8 text") from error
    return YamlSource(path, text)


def _near(path: Path) -> str:
    """The file beside it that may be meant, where there is none of this name."""
    try:
        return "" if path.exists() else did_you_mean(path.name, os.listdir(path.parent))
    except OSError:
        return ""


def _kind_of(data: Any, model: type[BaseModel]) -> str | None:
    """What a file is that was named where another kind is wanted; None when that is not plain."""
    for key, kind in _KINDS.items():
        if isinstance(data, dict) and key in data and key not in model.model_fields:
            required = {name for name, field in model.model_fields.items() if field.is_required()}
            return None if required & set(data) else kind
    return None


def show(loc: Location) -> str:
    """``('experiments', 0, 'params')`` as a person writes it: ``experiments[0].params``."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text or "the file"


def _is_inside(loc: Location, outer: Location) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _keys_of(model: type[BaseModel], loc: Location) -> list[str]:
    """The keys that ``model`` allows at the place of ``loc``'s last step."""
    for step in loc[:-1]:
        if isinstance(step, str) and step in model.model_fields:
            inner = _model_in(model.model_fields[step].annotation)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The pydantic model inside ``list[Model]``, ``dict[str, Model]``, ``Model | None`` …"""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        advice = "; indent with spaces, not with tabs" if "'\\t'" in str(error.problem) else ""
        return f"line {error.problem_mark.line + 1}: {error.problem}{advice}"
    return printable(str(error))
