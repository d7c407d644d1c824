"""The text of a first campaign: one template, filled with what suits this machine."""

import json
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from contract.catalog import Catalog
from contract.errors import UseError
from orchestrator.cli.initial.found import Found
from orchestrator.cli.initial.suited import MEMORY_MIB, Suit, suited

_COMMENTS_AT = 38
"""Column of the comments beside keys."""
_COMMENT_MOST = 64
"""Longest comment; docs/campaign.md tells all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment with the drivers that take the same parameters."""

    experiment: str
    summary: str
    drivers: list[str]
    params: list[str]
    """Lines of YAML, each with its comment."""


def campaign_page(file: Path, wanted: tuple[str, ...], found: Found, *, quick: bool) -> str:
    """A campaign for ``file``. Raises UseError when no driver can do what is wanted."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.cli.initial", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, of our own words
    )
    limited = found.root or "process" not in found.drivers
    return environment.get_template("campaign.yaml.j2").render(
        name=_campaign_name(file),
        file=file,
        found=found,
        quick=quick,
        memory_mib=MEMORY_MIB if limited else None,
        entries=_entries(wanted, found, quick=quick),
        deadline_s=3600 if "density" in wanted and not quick else 600,
    )


def _campaign_name(file: Path) -> str:
    """The file's name as campaigns may be called."""
    name = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower())[:63].strip("._-") or "campaign"
    return name if isinstance(yaml.safe_load(name), str) else f'"{name}"'


def _entries(wanted: tuple[str, ...], found: Found, *, quick: bool) -> list[Entry]:
    from workers.discover import build_catalog

    catalog, entries = build_catalog(), []
    for experiment in wanted:
        alike: dict[str, list[str]] = {}
        for driver in found.drivers:
            params = suited(experiment, Suit(driver, found, quick))
            if _is_able(catalog, experiment, driver, params):
                alike.setdefault(json.dumps(params), []).append(driver)
        if not alike:
            raise UseError(f"{experiment}: none of {', '.join(found.drivers)} can do what it needs")
        summary = catalog.experiments[experiment].summary
        entries += [
            Entry(experiment, summary, names, _lines(catalog, experiment, json.loads(text)))
            for text, names in alike.items()
        ]
    return entries


def _is_able(catalog: Catalog, experiment: str, driver: str, params: dict[str, Any]) -> bool:
    info = catalog.experiments[experiment]
    lists = [value if isinstance(value, list) else [value] for value in params.values()]
    needs = [
        info.needs(info.params.model_validate(dict(zip(params, chosen, strict=True))))
        for chosen in product(*lists)
    ]
    return all(need <= catalog.drivers[driver].offers for need in needs)


def _lines(catalog: Catalog, experiment: str, params: dict[str, Any]) -> list[str]:
    """``instances: 10    # measured instances per trial``, as the parameter describes itself."""
    fields = catalog.experiments[experiment].params.model_fields
    lines = []
    for key, value in params.items():
        start = f"{key}: {_yaml(value)}"
        several = "; one cell per value" if isinstance(value, list) else ""
        comment = _brief(fields[key].description or "")
        lines.append(f"{start.ljust(_COMMENTS_AT - 6)}  # {comment}{several}")
    return lines


def _brief(text: str) -> str:
    """The first of a description, up to where it may be cut."""
    if len(text) <= _COMMENT_MOST:
        return text
    start = text[:_COMMENT_MOST]
    return f"{start[: max(start.rfind('; '), start.rfind(', '), start.rfind(': '))]} …"


def _yaml(value: Any) -> str:
    """Plain words need no quotes in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
