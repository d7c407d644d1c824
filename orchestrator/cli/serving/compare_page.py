"""Two campaigns side by side, by the same code as ``tonnage compare``."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from contract.errors import TonnageError
from orchestrator.cli.comparing import parse_share
from orchestrator.cli.serving.answers import TOPIC, stamp_of
from orchestrator.cli.serving.context import serving
from orchestrator.cli.serving.downloads import dataset_of

if TYPE_CHECKING:
    from analysis.compare.comparison import Comparison

FIELDS = ("a", "b", "of_a", "of_b", "floor", "run_drift")
DEFAULTS = {"floor": "5%", "run_drift": "2%"}
WAIT_S = 0.1
"""For an answer; one that takes longer comes by itself later."""


def compare(request: Request) -> Response:
    """The form, and beneath it the answer once two sides are chosen."""
    server, query = serving(request), request.query_params
    asked = {key: query.get(key, DEFAULTS.get(key, "")) for key in FIELDS}
    facts: dict[str, Any] = {"asked": asked, "everything": query.get("all") == "yes", "problem": ""}
    facts["names"] = sorted(name for name, one in server.shelf.overviews.items() if one.has_dataset)
    facts |= {"found": None, "waiting": False}
    if asked["a"]:
        try:
            found, names = _found(request, asked)
        except TonnageError as error:
            facts["problem"] = str(error)
        else:
            facts["waiting"] = found is None
            facts |= _shown(found, names, everything=facts["everything"]) if found else {}
    topic = TOPIC if facts["waiting"] else ""
    return server.pages.page(request, "compare.html.j2", topic=topic, **facts)


def _found(request: Request, asked: dict[str, str]) -> tuple["Comparison | None", tuple[str, str]]:
    from analysis.compare.comparison import Options

    names = asked["a"], asked["b"] or asked["a"]
    datasets = [dataset_of(request, name) for name in names]
    options = Options(
        parse_share("smallest difference", asked["floor"]),
        parse_share("drift between runs", asked["run_drift"]),
    )
    said = asked["of_a"].split(), asked["of_b"].split()
    key = ("compare", *map(stamp_of, datasets), *asked.values())
    made = serving(request).answers.ask(key, lambda: _made(datasets, said, options), WAIT_S)
    return made, names


def _made(datasets: Sequence[Path], said: tuple[list[str], list[str]], options: Any) -> "Comparison":
    from analysis.compare.comparison import compare as compare_sides
    from analysis.compare.selection import parse_selection
    from analysis.compare.sides import sides_of
    from analysis.dataset import open_dataset

    selections = parse_selection(said[0], "only of A"), parse_selection(said[1], "only of B")
    with ExitStack() as stack:
        opened = {path: stack.enter_context(open_dataset(path)) for path in dict.fromkeys(datasets)}
        sides = sides_of((opened[datasets[0]], opened[datasets[-1]]), selections)
        return compare_sides(sides, options)


def _shown(found: "Comparison", names: tuple[str, str], *, everything: bool) -> dict[str, Any]:
    from analysis.compare import words

    shown, rest = (found.rows, ()) if everything else words.shown_and_rest(found.rows)
    return {
        "found": found,
        "sides": names,
        "summary": words.summary(found),
        "columns": words.COLUMNS,
        "rows": [(row["verdict"], words.cells_of(row)) for row in shown],
        "rest": len(rest),
        "notes": (*found.alone, *found.notes, *words.method(found)),
    }
