"""The capacity calculator: a form, and the hosts that come of it, by the code of ``tonnage capacity``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from contract.errors import CampaignError, TonnageError
from orchestrator.cli.serving.answers import stamp_of
from orchestrator.cli.serving.capacity_form import MOST_SHAPES, Filled, FormSource, checked, filled
from orchestrator.cli.serving.context import Serving, serving
from orchestrator.cli.serving.downloads import dataset_of


@dataclass(frozen=True)
class Measured:
    """What the form offers of a dataset."""

    classes: tuple[str, ...]
    variants: tuple[str, ...]
    virtual: bool


def capacity(request: Request) -> Response:
    """The form as it was filled in, and the answer or the complaints."""
    server = serving(request)
    values = {key: value[:500] for key, value in request.query_params.items()}
    names = sorted(name for name, one in server.shelf.overviews.items() if one.has_dataset)
    facts: dict[str, Any] = {
        "names": names,
        "values": values,
        "complaints": {},
        "problem": "",
        "measured": None,
        "found": None,
        "text": "",
        "shapes": _shapes(values),
    }
    if values.get("dataset"):
        try:
            dataset = dataset_of(request, values["dataset"])
            facts["measured"] = server.answers.get(
                ("measured", stamp_of(dataset)), lambda: _measured(dataset)
            )
            facts["values"] = _with_classes(values, facts["measured"])
            if any(values.get(f"s{place}.p50", "").strip() for place in range(MOST_SHAPES)):
                facts |= _answered(server, dataset, facts["values"])
        except TonnageError as error:
            facts["problem"] = str(error)
    return server.pages.page(request, "capacity.html.j2", **facts)


def _shapes(values: dict[str, str]) -> int:
    """How many rows for shapes the form has."""
    used = [p for p in range(MOST_SHAPES) if f"s{p}.p50" in values]
    return min(MOST_SHAPES, max([0, *used]) + 1 + ("another" in values))


def _with_classes(values: dict[str, str], measured: Measured) -> dict[str, str]:
    """The measured classes in the first rows, as long as the form was not sent with others."""
    if "c0.name" in values:
        return values
    return values | {f"c{place}.name": name for place, name in enumerate(measured.classes)}


def _measured(dataset: Path) -> Measured:
    from analysis.cells import variant_name
    from analysis.dataset import open_dataset
    from analysis.host_classes import host_classes

    with open_dataset(dataset) as opened:
        rows = [row for row in opened.trials() if row["experiment"] == "density"]
        variants = sorted({variant_name(row["driver"], row["profile"]) for row in rows})
        classes = tuple(one.name for one in host_classes(opened))
        return Measured(classes, tuple(variants), any(row["virtual"] for row in rows))


def _answered(server: Serving, dataset: Path, values: dict[str, str]) -> dict[str, Any]:
    form = filled(values)
    demand, source, complaints = checked(form)
    if demand is None:
        return {"complaints": complaints}
    key = ("capacity", stamp_of(dataset), source.text)
    try:
        return server.answers.get(key, lambda: _worked_out(dataset, demand, source))
    except CampaignError:
        return {"complaints": _by_field(form, source)}


def _by_field(form: Filled, source: FormSource) -> dict[str, str]:
    """What the planning complained about, by field."""
    return {form.field_of(loc): said for loc, said in source.refused.items()}


def _worked_out(dataset: Path, demand: Any, source: FormSource) -> dict[str, Any]:
    from analysis.capacity import figures, shown, words
    from analysis.capacity.answering import answer
    from analysis.dataset import open_dataset

    with open_dataset(dataset, check_sums=False) as opened:
        found = answer(opened, demand, source)
    drawn = (figures.shortfall(found),)
    return {
        "found": found,
        "text": source.text,
        "summary": words.summary(found),
        "cautions": words.caveats(found),
        "plans": [_plan(plan) for plan in words.best(found.plans)],
        "tables": shown.tables(found),
        "figures": [figure for figure in drawn if figure is not None],
        "assumptions": found.assumptions,
    }


def _plan(plan: Any) -> dict[str, Any]:
    """The head figures of a plan."""
    from analysis.capacity.money import money
    from analysis.capacity.words import hosts

    return {
        "what": f"{plan.shape} as {plan.variant}" + (", reserved" if plan.basis == "guaranteed" else ""),
        "of": plan.host_class,
        "hosts": hosts(plan.recommended),
        "quantiles": {name.upper(): hosts(plan.hosts[name]) for name in ("p50", "p90", "p95")},
        "measured": hosts(plan.hosts_measured),
        "binding": plan.binding.name if plan.binding else "nothing",
        "price": money(plan.price) if plan.price is not None else "",
        "infeasible": " ".join(plan.infeasible),
    }
