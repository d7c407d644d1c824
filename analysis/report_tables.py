"""What the report's tables hold, column by column: rows for scripts, and a page for people."""

from collections.abc import Iterator

from analysis.exporting import meaning_of
from analysis.tables import table_modules

_ABOUT = """\
The same as `tonnage schema reports --markdown`; without the option, as JSON. They lie beside a report in
`tables/` as CSV, Parquet and JSON, and `tonnage export` writes single ones. A number that is not known
is missing, never 0; a quantile that lies among failures is infinite. Times are nanoseconds."""


def column_rows() -> list[dict[str, str]]:
    """Every column of every table of the report."""
    return [
        {
            "table": f"{experiment}-{name}",
            "column": field.name,
            "type": field.dtype,
            "meaning": field.meaning,
        }
        for experiment, module in sorted(table_modules().items())
        for name, fields in module.FIELDS.items()
        for field in fields
    ]


def page() -> str:
    """The same as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Tables of the report"
    yield ""
    yield _ABOUT
    for experiment, module in sorted(table_modules().items()):
        yield ""
        yield f"## {experiment}"
        for name, fields in module.FIELDS.items():
            yield ""
            yield f"### `{experiment}-{name}`"
            yield ""
            about = meaning_of(experiment, name)
            yield f"{about[0].upper()}{about[1:]}."
            yield ""
            yield "| column | type | meaning |"
            yield "|---|---|---|"
            for field in fields:
                meaning = field.meaning.replace("|", "\\|")
                yield f"| `{field.name}` | {field.dtype} | {meaning} |"
    yield ""
