"""Files to take away: tables of a dataset in every format, and the report as it was written."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from contract.errors import UseError
from orchestrator.cli.folders import gathered_in
from orchestrator.cli.serving.answers import TOPIC, stamp_of
from orchestrator.cli.serving.context import serving
from orchestrator.cli.serving.pages import NotThere

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "sandbox allow-downloads allow-popups"
)
"""A report carries its style and pictures, and never runs anything."""
_IN_REPORT = re.compile(r"^(report\.html|tables/[A-Za-z0-9_.-]+\.(csv|json|parquet))\Z")
_CHUNK_BYTES = 1 << 20
WAIT_S = 2.0
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "html": "text/html; charset=utf-8",
}


def dataset_of(request: Request, name: str) -> Path:
    """The dataset of a folder of the shelf. Raises UseError, DatasetError."""
    return inside(request, gathered_in(serving(request).shelf.folder(name)))


def inside(request: Request, path: Path) -> Path:
    """The path, if what it leads to lies below the results root. Raises UseError."""
    root = serving(request).settings.results_root.resolve()
    found = path.resolve()
    if not found.is_relative_to(root):
        raise UseError(f"'{path.name}' lies outside the results root, by a link")
    return found


def tables(request: Request) -> Response:
    """The page that lists every table of a campaign."""
    name, server = request.path_params["name"], serving(request)
    dataset = dataset_of(request, name)
    listed = server.answers.ask(("tables", stamp_of(dataset)), lambda: _listed(dataset), WAIT_S)
    return server.pages.page(
        request,
        "tables.html.j2",
        topic=TOPIC if listed is None else "",
        one=server.shelf.overview(name),
        listed=listed,
        formats=_formats(),
    )


def _listed(dataset: Path) -> list[tuple[str, int | None, str]]:
    """Name, rows where the manifest knows them, and meaning: without making the report's tables."""
    from analysis.dataset import open_dataset
    from analysis.exporting import RAW_MEANINGS, meaning_of, names_of

    with open_dataset(dataset, check_sums=False) as opened:
        rows = dict.fromkeys(RAW_MEANINGS, 0)
        for file in opened.manifest.files:
            rows[file.path.partition("/")[0]] += file.rows
        return [
            (name, rows.get(name), RAW_MEANINGS.get(name) or meaning_of(*name.split("-", 1)))
            for name in names_of(opened)
        ]


def table(request: Request) -> Response:
    """One table as a file."""
    from analysis.dataset import open_dataset
    from analysis.exporting import Tables, write_stream

    name, form = request.path_params["table"], request.path_params["form"]
    if form not in _formats():
        raise NotThere(f"no format '{form}'; allowed: {', '.join(_formats())}")
    campaign = request.path_params["name"]
    spooled = tempfile.TemporaryFile(prefix="tonnage-")  # noqa: SIM115 - closed when it was sent
    try:
        with open_dataset(dataset_of(request, campaign)) as opened:
            write_stream(Tables(opened).stream(name), form, spooled)
    except BaseException:
        spooled.close()
        raise
    size = spooled.tell()
    spooled.seek(0)

    def chunks() -> Iterator[bytes]:
        with spooled:
            while chunk := spooled.read(_CHUNK_BYTES):
                yield chunk

    said = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{campaign}-{name}.{form}")
    headers = {"content-disposition": f'attachment; filename="{said}"', "content-length": str(size)}
    return StreamingResponse(chunks(), media_type=_TYPES[form], headers=headers)


def report(request: Request) -> Response:
    """The report, or a table beside it, as the campaign's folder has it."""
    name, path = request.path_params["name"], request.path_params["path"]
    if not _IN_REPORT.match(path):
        raise NotThere(f"a report has no file '{path}'")
    file = inside(request, serving(request).shelf.folder(name) / "report" / path)
    if not file.is_file():
        raise NotThere(f"'{name}' has no {path} yet; `tonnage report` writes it")
    headers = {"content-security-policy": REPORT_POLICY}
    return FileResponse(file, media_type=_TYPES[file.suffix.removeprefix(".")], headers=headers)


def _formats() -> tuple[str, ...]:
    from analysis.exporting import Format

    return get_args(Format)
