"""Which files are read, in which form, under which mapping: the whole of one import."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from contract.errors import SourceError, UseError
from contract.yaml_source import YamlSource
from orchestrator.importing import Form
from orchestrator.importing.collecting import Collection, SourceFile
from orchestrator.importing.columns import read_columns
from orchestrator.importing.hyperfine import read_hyperfine
from orchestrator.importing.incus import read_incus
from orchestrator.importing.mapping import (
    ColumnsMapping,
    HyperfineMapping,
    IncusMapping,
    Mapping,
    load_mapping,
)
from orchestrator.importing.writing import Imported, write_dataset

MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks to be imported."""

    sources: tuple[Path, ...]
    form: Form
    mapping: Path | None
    out: Path
    campaign: str | None = None
    again: str = ""
    """The command that asks for the same."""


_MODELS: dict[Form, type[Mapping]] = {
    Form.COLUMNS: ColumnsMapping,
    Form.HYPERFINE: HyperfineMapping,
    Form.INCUS: IncusMapping,
}
_SUFFIX = {Form.HYPERFINE: ".json", Form.INCUS: ".csv"}


def import_results(order: Order) -> Imported:
    """Read everything, then write the dataset: whole, or nothing of it.

    Raises CampaignError for a mapping, SourceError for files, and ResultsError for a folder, that
    cannot be used, UseError where a mapping is missing.
    """
    if order.mapping is None:
        if order.form is not Form.HYPERFINE:
            raise UseError(f"--format {order.form} needs --mapping: its files do not say what they hold")
        mapping: Mapping = HyperfineMapping()
        text, yaml = "", None
    else:
        mapping, yaml = load_mapping(order.mapping, _MODELS[order.form])
        text = order.mapping.read_text(encoding="utf-8")
    campaign = order.campaign or mapping.campaign or _plain_name(order.out)
    files = _files(order.sources)
    collection = Collection(mapping, campaign, order.form, interleaved=_interleaved(mapping))
    unused = _read(mapping, yaml, files, collection)
    imported = Imported(order.out, campaign, unused=unused)
    write_dataset(imported, collection.trials(), text, order.again)
    return imported


def _read(
    mapping: Mapping, yaml: YamlSource | None, files: dict[str, Path], into: Collection
) -> list[str]:
    """Read what the mapping wants of the files; the names of the others."""
    if isinstance(mapping, ColumnsMapping) and yaml is not None:
        return _read_columns(mapping, yaml, files, into)
    suffix = _SUFFIX[Form.HYPERFINE if isinstance(mapping, HyperfineMapping) else Form.INCUS]
    wanted = files if len(files) == 1 else {n: p for n, p in files.items() if n.endswith(suffix)}
    if not wanted:
        raise SourceError(f"none of {len(files)} files is named *{suffix}")
    sources = [SourceFile.at(path, name) for name, path in wanted.items()]
    if isinstance(mapping, HyperfineMapping):
        read_hyperfine(sources, mapping, into)
    elif isinstance(mapping, IncusMapping):
        for source in sources:
            read_incus(source, mapping, into)
    return [name for name in files if name not in wanted]


def _read_columns(
    mapping: ColumnsMapping, yaml: YamlSource, files: dict[str, Path], into: Collection
) -> list[str]:
    used: dict[str, SourceFile] = {}
    for number, entry in enumerate(mapping.entries):
        for pattern in entry.files:
            names = [name for name in files if _matches(name, pattern)]
            if not names:
                allowed = f"a name or pattern of: {', '.join(list(files)[:20])}"
                raise yaml.error(("entries", number, "files"), pattern, allowed)
            for name in names:
                if name not in used:
                    used[name] = SourceFile.at(files[name], name)
                read_columns(used[name], mapping, entry, into)
    return [name for name in files if name not in used]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(Path(name).name, pattern)


def _interleaved(mapping: Mapping) -> bool:
    if isinstance(mapping, HyperfineMapping):
        return mapping.block.every is None  # every file holds a pass over all commands
    return isinstance(mapping, ColumnsMapping | IncusMapping) and mapping.interleaved


def _files(sources: Sequence[Path]) -> dict[str, Path]:
    """All files by the name that the dataset gives them, folders in the order of numbers in names."""
    found: dict[str, Path] = {}
    for source in sources:
        if source.is_dir():
            inside = sorted((p for p in source.rglob("*") if p.is_file()), key=_natural)
            named = {p.relative_to(source).as_posix(): p for p in inside}
        elif source.is_file():
            named = {source.name: source}
        else:
            raise SourceError(f"{source}: no such file or folder")
        for name, path in named.items():
            known = found.setdefault(name, path)
            if known != path:
                raise SourceError(f"{path} and {known}: two files of one name; import their folder")
    if not found:
        raise SourceError(f"{', '.join(map(str, sources))}: there is no file")
    if len(found) > MOST_FILES:
        raise SourceError(f"{', '.join(map(str, sources))}: more than {MOST_FILES:,} files")
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """``run-9`` before ``run-10``."""
    pieces = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", path.as_posix())
    return [(int(piece), "") if piece.isdigit() and len(piece) < 19 else (-1, piece) for piece in pieces]


def _plain_name(out: Path) -> str:
    plain = re.sub(r"[^a-z0-9._-]+", "-", out.resolve().name.lower())[:63].strip("-._")
    return plain or "imported"
