"""The capacity calculator: a form, and the hosts that come of it, as ``tonnage capacity`` has it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from contract.errors import CampaignError, TonnageError
from orchestrator.cli.serving.answers import TOPIC, stamp_of
from orchestrator.cli.serving.context import Serving, serving
from orchestrator.cli.serving.downloads import dataset_of

if TYPE_CHECKING:
    from orchestrator.cli.serving.calculator import Measured

WAIT_S = 3.0
"""For an answer; one that takes longer comes by itself later."""


def capacity(request: Request) -> Response:
    """The form as it was filled in, and the answer or the complaints."""
    server = serving(request)
    values = {key: value[:500] for key, value in request.query_params.items()}
    facts: dict[str, Any] = {
        "names": sorted(name for name, one in server.shelf.overviews.items() if one.has_dataset),
        "values": values,
        "complaints": {},
        "problem": "",
        "measured": None,
        "found": None,
        "waiting": False,
        "shapes": _shapes(values),
    }
    if values.get("dataset"):
        try:
            _fill(server, dataset_of(request, values["dataset"]), facts)
        except TonnageError as error:
            facts["problem"] = str(error)
    topic = TOPIC if facts["waiting"] else ""
    return server.pages.page(request, "capacity.html.j2", topic=topic, **facts)


def _fill(server: Serving, dataset: Path, facts: dict[str, Any]) -> None:
    from orchestrator.cli.serving.capacity_form import MOST_SHAPES

    stamp = stamp_of(dataset)
    facts["measured"] = measured = server.answers.ask(
        ("measured", stamp), lambda: server.calculator.measured(dataset), WAIT_S
    )
    if measured is None:
        facts["waiting"] = True
        return
    values = facts["values"] = _with_classes(facts["values"], measured)
    if measured.variants and any(values.get(f"s{at}.p50", "").strip() for at in range(MOST_SHAPES)):
        facts |= _answered(server, dataset, values)


def _shapes(values: dict[str, str]) -> int:
    """How many rows for shapes the form has."""
    from orchestrator.cli.serving.capacity_form import MOST_SHAPES

    used = [at for at in range(MOST_SHAPES) if any(key.startswith(f"s{at}.") for key in values)]
    return min(MOST_SHAPES, max([0, *used]) + 1 + ("another" in values))


def _with_classes(values: dict[str, str], measured: "Measured") -> dict[str, str]:
    """The measured classes in the first rows, as long as the form was not sent with others."""
    if any(key.startswith("c") and key.endswith(".name") for key in values):
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
    except CampaignError as error:
        return {"complaints": form.complaints_of(error)}
    return {"waiting": True} if made is None else made
