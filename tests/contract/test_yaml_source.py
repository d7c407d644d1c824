"""Any file either becomes plain data with lines, or one CampaignError that says where."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.campaign import load_campaign
from contract.errors import CampaignError
from contract.yaml_source import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    YamlSource,
    load_yaml,
    show,
)

TEXT = """\
campaign: first

experiments:
  - experiment: lifecycle
    params:
      instances: 3
  - experiment: other
"""


def source(text: str) -> YamlSource:
    return YamlSource(Path("c.yaml"), text)


def refused(text: str) -> str:
    with pytest.raises(CampaignError) as caught:
        source(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        (("campaign",), 1),
        (("experiments",), 3),
        (("experiments", 0), 4),
        (("experiments", 0, "params", "instances"), 6),
        (("experiments", 1, "experiment"), 7),
        (("experiments", 1, "params", "absent"), 7),  # of the nearest key around it
        ((), 1),
    ],
)
def test_every_key_has_its_line(loc: tuple[str | int, ...], line: int) -> None:
    assert source(TEXT).line(loc) == line


def test_data_is_what_any_yaml_reader_sees() -> None:
    assert source("a: [1, 2.5, yes, null, text]\nb: {c: 'x'}").data == {
        "a": [1, 2.5, True, None, "text"],
        "b": {"c": "x"},
    }


def test_aliases_are_followed() -> None:
    assert source("a: &x {b: 1}\nc: *x").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_key_that_stands_twice_is_refused_at_its_second_line() -> None:
    assert refused("a: {b: 1,\n\n  b: 2}") == "c.yaml:3: key 'a.b' stands here twice"


@pytest.mark.parametrize("text", ["? [a]\n: 1", "? {a: 1}\n: 1"])
def test_a_key_that_is_no_text_is_refused(text: str) -> None:
    assert refused(text) == "c.yaml:1: a key that is not plain text"


def test_deep_nesting_is_refused() -> None:
    assert source("[" * MAX_DEPTH + "]" * MAX_DEPTH).data
    assert "nested deeper" in refused("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))


def test_nesting_beyond_the_parsers_own_depth_is_refused() -> None:
    assert "nested deeper" in refused("[" * 5000)


def test_an_alias_bomb_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert f"more than {MAX_NODES} values" in refused("\n".join(lines))


def test_an_alias_of_itself_is_refused() -> None:
    assert "nested deeper" in refused("a: &a [*a]")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a: !!bool x", "bool"),
        ("a: !!int ''", "int"),
        ("a: !!float x", "float"),
        ("a: !!timestamp x", "timestamp"),
        ("a: !!python/object:os.system x", "python/object:os.system"),
        ("a: " + "1" * 5000, "int"),
    ],
)
def test_a_value_that_is_not_of_its_tag_is_refused(text: str, kind: str) -> None:
    assert refused("\n" + text).startswith("c.yaml:2: ")
    assert refused(text).endswith(f"cannot be read as {kind}")


def test_a_number_that_no_column_can_hold_is_refused() -> None:
    assert "more than 64 bits" in refused("a: 0x" + "f" * 20_000)


@pytest.mark.parametrize("text", ["a: b: c", "a: *b", "\x00", "{", "%", "a: 'x"])
def test_what_is_not_yaml_is_refused(text: str) -> None:
    assert refused(text).startswith("c.yaml: this is not YAML: ")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(CampaignError, match=f"larger than {MAX_BYTES} bytes"):
        load_yaml(path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("campaign: Größe".encode("latin-1"))
    with pytest.raises(CampaignError, match=r"latin\.yaml: is not UTF-8 text"):
        load_yaml(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"absent\.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "absent.yaml")
    with pytest.raises(CampaignError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)


def test_a_place_is_shown_as_a_person_writes_it() -> None:
    assert show(("experiments", 0, "params", "ready")) == "experiments[0].params.ready"
    assert show(()) == "the file"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    complaint = source("blokcs: 3").unknown(("blokcs",), ["blocks", "seed"])
    assert str(complaint) == (
        "c.yaml:1: unknown key 'blokcs' (did you mean 'blocks'?); allowed: blocks, seed"
    )


PIECES = (
    "a|b: |- |\n|  |{|}|[|]|, |&x |*x|!!|int |0x|1|:|? |>|'|\"|<<: |# |---|...|é|\t|null|.inf|2020-01-01"
)
YAML_TEXT = st.lists(st.sampled_from(PIECES.split("|")), max_size=40).map("".join)


@settings(max_examples=300)
@given(st.one_of(YAML_TEXT, st.text(max_size=60)))
@example("!!set {a, b}")
@example("!!omap [a: 1]")
@example("- !!binary '%'")
@example("2020-13-45")
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(CampaignError):
        source(text)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    with contextlib.suppress(CampaignError):
        load_yaml(path)


@pytest.mark.parametrize("end", ["", ".5"])
def test_a_number_of_base_60_that_takes_minutes_to_add_up_is_refused(end: str) -> None:
    text = "a: 1" + ":1" * 200_000 + end
    assert "is longer than a number or date may be" in refused(text)


@pytest.mark.parametrize("escape", ["\\e[2J", "\\0", "\\ud800", "\\u202e", "\\x9b", "\\r"])
@pytest.mark.parametrize("form", ['"{}": 1', 'a: "{}"', 'a: ["x{}"]'])
def test_what_steers_a_terminal_is_refused_and_does_not_reach_it(escape: str, form: str) -> None:
    complaint = refused(form.format(escape))
    assert "holds the control character \\" in complaint
    assert complaint.isprintable()


def test_thousands_of_mistakes_are_told_in_a_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("campaign: a\n" + "".join(f"k{i}: 1\n" for i in range(1000)))
    with pytest.raises(CampaignError) as caught:
        load_campaign(path)
    assert str(caught.value).count("\n") == 20
    assert str(caught.value).endswith("and more like these")
