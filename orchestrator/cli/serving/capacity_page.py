"""The capacity calculator: a form, and the hosts that come of it, as ``tonnage capacity`` has it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from contract.errors import TonnageError, UseError
from contract.plain_text import printable
from orchestrator.cli.serving import capacity_fields
from orchestrator.cli.serving.answers import TOPIC, stamp_of
from orchestrator.cli.serving.context import Serving, serving
from orchestrator.cli.serving.downloads import dataset_of

if TYPE_CHECKING:
    from orchestrator.cli.serving.calculator import Measured

WAIT_S = 3.0
"""For an answer; one that takes longer comes by itself later."""
MOST_QUERY = 30_000
"""Characters of a page's address that a demand may take: the server reads twice as many at most."""


def capacity(request: Request) -> Response:
    """The form as it was filled in, and the answer or the complaints."""
    return _page(request, dict(request.query_params))


def _page(request: Request, values: dict[str, str], problem: str = "") -> Response:
    """The page; with a problem, that of a file that could not be brought into the form."""
    server = serving(request)
    facts: dict[str, Any] = {
        "names": sorted(name for name, one in server.shelf.overviews.items() if one.has_dataset),
        "values": values,
        "complaints": {},
        "problem": "",
        "refused_file": problem,
        "measured": None,
        "found": None,
        "waiting": False,
        "query": urlencode({name: text for name, text in values.items() if text}),
        "of": capacity_fields,
    }
    if values.get("dataset"):
        try:
            _fill(server, dataset_of(request, values["dataset"]), facts)
        except TonnageError as error:
            facts["problem"] = str(error)
    facts |= _rows(facts["values"])
    topic = TOPIC if facts["waiting"] and not problem else ""
    status = 400 if problem else 200
    return server.pages.page(request, "capacity.html.j2", topic=topic, status_code=status, **facts)


def _fill(server: Serving, dataset: Path, facts: dict[str, Any]) -> None:
    facts["measured"] = measured = _measured(server, dataset)
    if measured is None:
        facts["waiting"] = True
        return
    values = facts["values"] = _with_classes(facts["values"], measured)
    if measured.variants and _is_asked(values):
        facts |= _answered(server, dataset, values)


def _measured(server: Serving, dataset: Path) -> "Measured | None":
    stamp = stamp_of(dataset)
    return server.answers.ask(("measured", stamp), lambda: server.calculator.measured(dataset), WAIT_S)


def _is_asked(values: dict[str, str]) -> bool:
    """Whether it is said of any shape how much must run."""
    shapes = range(capacity_fields.MOST_SHAPES)
    names = capacity_fields.ASKING
    return any(values.get(f"s{at}.{name}", "").strip() for at in shapes for name in names)


def _rows(values: dict[str, str]) -> dict[str, range]:
    """How many rows for shapes and for classes the form has: those in use, and one where asked for."""
    from orchestrator.cli.serving.capacity_form import rows_of

    found = {}
    for name, letter, most, least in (
        ("shapes", "s", capacity_fields.MOST_SHAPES, 1),
        ("classes", "c", capacity_fields.MOST_CLASSES, 1),
    ):
        used = max(rows_of(values, letter, most), default=-1) + 1
        found[name] = range(min(most, max(least, used + (f"another_{letter}" in values))))
    return found


def _with_classes(values: dict[str, str], measured: "Measured") -> dict[str, str]:
    """The measured classes in the first rows, as long as nothing is said of any class."""
    from orchestrator.cli.serving.capacity_form import rows_of

    if rows_of(values, "c", capacity_fields.MOST_CLASSES):
        return values
    return values | {f"c{at}.name": name for at, name in enumerate(measured.classes)}


def _answered(server: Serving, dataset: Path, values: dict[str, str]) -> dict[str, Any]:
    from orchestrator.cli.serving.capacity_form import checked, filled

    form = filled(values)
    demand, source, complaints = checked(form)
    if demand is None:
        return {"complaints": complaints}
    key = ("capacity", stamp_of(dataset), source.text)
    try:
        made = server.answers.ask(
            key, lambda: server.calculator.work_out(dataset, demand, source), WAIT_S
        )
    except TonnageError as error:
        return {"complaints": form.complaints_of(error)}
    return {"waiting": True} if made is None else made


async def from_file(request: Request) -> Response:
    """A demand file that was picked, brought into the form; or the form as it was, and why not."""
    if request.method != "POST":
        return RedirectResponse(f"/capacity?{request.url.query}", 303)
    async with request.form(max_files=1, max_fields=10) as sent:
        file = sent.get("file")
        text = await file.read() if isinstance(file, UploadFile) else b""
        name = file.filename if isinstance(file, UploadFile) else ""
    return await run_in_threadpool(_taken, request, name or "demand", text)


def _taken(request: Request, name: str, text: bytes) -> Response:
    from contract.yaml_source import YamlSource
    from orchestrator.cli.serving.capacity_form import fields_of

    values = dict(request.query_params)
    path = Path(printable(name[:200]))
    try:
        try:
            source = YamlSource(path, text.decode())
        except UnicodeDecodeError as error:
            raise UseError(f"{path}: is not UTF-8 text") from error
        if not text.strip():
            raise UseError("no file was picked, or it is empty; pick a demand file (YAML)")
        fields = fields_of(source)[1]
        query = urlencode({"dataset": values.get("dataset", "")} | fields)
        if len(query) > MOST_QUERY:
            raise UseError(
                f"{path}: found {len(query)} characters as fields; allowed: {MOST_QUERY}; "
                "`tonnage capacity` takes the file as it is"
            )
    except TonnageError as error:
        return _page(request, values, str(error))
    return RedirectResponse(f"/capacity?{query}", 303)


def as_file(request: Request) -> Response:
    """The form as a demand file. Raises UseError with every complaint where there are any."""
    from orchestrator.cli.serving.capacity_form import checked, filled

    values = dict(request.query_params)
    server, dataset = serving(request), dataset_of(request, values.get("dataset", ""))
    measured = _measured(server, dataset)
    if measured is None:
        raise UseError("the dataset is still being read; ask again in a moment")
    demand, source, complaints = checked(filled(_with_classes(values, measured)))
    if demand is None:
        said = "; ".join(f"{name}: {text}" if name else text for name, text in complaints.items())
        raise UseError(f"the form holds no demand yet: {said}")
    folder = " ".join(printable(values["dataset"]).split())
    head = (
        "# Made by the capacity calculator of `tonnage serve`. The same answer on a terminal:\n"
        f"# tonnage capacity RESULTS/{folder} --demand {demand.demand}.yaml\n"
    )
    headers = {"content-disposition": f'attachment; filename="{demand.demand}.yaml"'}
    return Response(head + source.text, media_type="application/yaml", headers=headers)
