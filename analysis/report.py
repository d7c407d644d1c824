"""The report: one HTML file that opens offline, with every table beside it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis import export, imported, palette, provenance, quantities, words_imported
from analysis.capacity import section as capacity
from analysis.dataset import Dataset, open_dataset
from analysis.diagnostics import section as diagnostics
from analysis.section import Field, Figure, Section, ShownTable
from analysis.tables import table_modules
from contract.errors import CampaignError
from contract.yaml_source import YamlSource

MOST_MISSING = 100
MOST_FILES = 60
EMBEDDED_BYTES = 60_000
"""A table whose CSV is no larger may also be carried inside the page."""
EMBEDDED_TOTAL_BYTES = 600_000
"""So much CSV is carried in all, small tables first: many middling ones would be most of the page."""


@dataclass(frozen=True, slots=True)
class Download:
    """One exported table: links beside the page, and the CSV inside it when it is small."""

    name: str
    rows: int
    embedded: str | None


def write_report(
    dataset: Path, out: Path, *, include_suspect: bool = False, demand: Path | None = None
) -> Path:
    """Analyse the dataset in a folder and write ``report.html`` and ``tables/`` into ``out``.

    Suspect trials count only with ``include_suspect``, or where a cell has no valid one; the report
    says so either way. With a ``demand`` file the report begins with a capacity plan for it. Returns the
    report's path. Raises DatasetError when the dataset cannot be believed, ResultsError when ``out``
    cannot be written, CampaignError when the demand cannot be read.
    """
    with open_dataset(dataset, include_suspect=include_suspect) as opened:
        origin = imported.origin_of(opened)
        sections: list[Section] = []
        tables: dict[str, pd.DataFrame] = {}
        fields: dict[str, tuple[Field, ...]] = {}
        for experiment, module in table_modules().items():
            if experiment in opened.experiments():
                found = module.table(opened)
                sections.append(
                    words_imported.add_caveats(module.section(opened, found), opened, origin)
                )
                tables |= {f"{experiment}-{name}": table for name, table in found.items()}
                fields |= {f"{experiment}-{name}": module.FIELDS[name] for name in found}
        doubts = diagnostics.table(opened)
        if doubts:
            sections.append(diagnostics.section(doubts))
            tables |= {f"{diagnostics.NAME}-{name}": table for name, table in doubts.items()}
            fields |= {f"{diagnostics.NAME}-{name}": diagnostics.FIELDS[name] for name in doubts}
        if demand is not None:
            planned = capacity.plan_for(opened, demand)
            sections.insert(0, planned.section)
            tables |= planned.tables
            fields |= planned.fields
        return write_page(opened, out / "report.html", sections, (tables, fields))


def write_page(
    dataset: Dataset,
    page: Path,
    sections: Sequence[Section],
    exported: tuple[dict[str, pd.DataFrame], dict[str, tuple[Field, ...]]],
) -> Path:
    """Write a page of some sections, and ``tables/`` beside it: frames and fields by exported name.

    Returns the page's path. Raises ResultsError when it cannot be written.
    """
    tables, fields = exported
    export.export_tables(page.parent / "tables", tables, fields)
    downloads = _downloads(page.parent / "tables", tables)
    export.write_file(page, _render(dataset, sections, downloads).encode())
    return page


def _render(dataset: Dataset, sections: Sequence[Section], downloads: Sequence[Download]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": quantities.count, "svg": Markup, "lines": str.splitlines}
    environment.filters["tied"] = quantities.tied
    environment.tests |= {
        "figure": lambda part: isinstance(part, Figure),
        "shown_table": lambda part: isinstance(part, ShownTable),
    }
    reasons, more_reasons = provenance.verdict_reasons(dataset)
    return environment.get_template("report.html.j2").render(
        manifest=dataset.manifest,
        origin=imported.origin_of(dataset),
        most_files=MOST_FILES,
        description=_description(dataset.manifest.campaign_file),
        gathered_at=_moment(dataset.manifest.created_at),
        opening=_opening(dataset, [section.experiment for section in sections]),
        sections=sections,
        swatch=palette.swatch,
        downloads=downloads,
        trial_counts=provenance.trial_counts(dataset),
        reasons=reasons,
        more_reasons=more_reasons,
        missing=dataset.manifest.missing[:MOST_MISSING],
        more_missing=max(0, len(dataset.manifest.missing) - MOST_MISSING),
        facts=provenance.lift_facts(dataset),
        again=provenance.measured_again(dataset.manifest.rerun, dataset.manifest.campaign),
        files=dataset.manifest.files[:MOST_FILES],
        more_files=max(0, len(dataset.manifest.files) - MOST_FILES),
    )


def _opening(dataset: Dataset, shown: Sequence[str]) -> list[str]:
    """The first sentences: what was done, how much of it can be believed."""
    manifest, extent = dataset.manifest, provenance.extent(dataset)
    verdicts = provenance.verdict_totals(dataset)
    each = [f"{quantities.count(verdicts[word])} {word}" for word in ("valid", "suspect", "invalid")]
    trials = quantities.plural(extent["trials"], "trial")
    instances = quantities.plural(extent["instances"], "instance")
    where = quantities.plural(extent["hosts"], "host")
    blocks = quantities.plural(extent["blocks"], "block")
    origin = imported.origin_of(dataset)
    sentences = [
        *(words_imported.opening(origin) if origin else ()),
        f"Measured on {where} in up to {blocks} each: {trials} with {instances}.",
        f"Trials by verdict: {', '.join(each)}.",
    ]
    if manifest.missing:
        missing, planned = len(manifest.missing), manifest.planned
        sentences.append(
            f"Not complete: {quantities.count(missing)} of "
            f"{quantities.plural(planned, 'planned trial')}; see 'What is missing'."
        )
    unknown = sorted(set(dataset.experiments()) - {*shown, *table_modules()})
    if unknown:
        names = quantities.listed(unknown)
        sentences.append(f"This release has no table for {names}: the raw rows are in the dataset.")
    if dataset.include_suspect:
        sentences.append("Suspect trials are included, because that was asked for.")
    return sentences


def _description(campaign_file: str) -> str:
    """The campaign's own description, where its file has one."""
    try:
        content = YamlSource(Path("campaign.yaml"), campaign_file).data
    except CampaignError:
        return ""
    said = content.get("description") if isinstance(content, dict) else None
    return said if isinstance(said, str) else ""


def _moment(text: str) -> str:
    """A time as the manifest has it, for people: ``2026-11-25 03:31 UTC``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "at an unknown time"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _downloads(folder: Path, tables: dict[str, pd.DataFrame]) -> list[Download]:
    """The links of tables that have been exported, with the CSV of those that the page has room for."""
    sizes = {name: (folder / f"{name}.csv").stat().st_size for name in tables}
    carried, total_bytes = set(), 0
    for name, size_bytes in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        total_bytes += size_bytes
        if 0 < size_bytes <= EMBEDDED_BYTES and total_bytes <= EMBEDDED_TOTAL_BYTES:
            carried.add(name)
    return [
        Download(name, len(table), _as_link(folder / f"{name}.csv") if name in carried else None)
        for name, table in tables.items()
    ]


def _as_link(file: Path) -> str:
    return f"data:text/csv;base64,{base64.b64encode(file.read_bytes()).decode()}"
