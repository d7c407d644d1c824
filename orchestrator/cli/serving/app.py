"""The application: which page answers which address, and what becomes of errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from contract.errors import BrokerError, CampaignError, ResultsError, TonnageError
from orchestrator.cli.serving import actions, campaign_pages, downloads
from orchestrator.cli.serving.capacity_page import as_file, capacity, from_file
from orchestrator.cli.serving.compare_page import compare
from orchestrator.cli.serving.context import Serving, serving
from orchestrator.cli.serving.fleet_page import fleet
from orchestrator.cli.serving.live import stream
from orchestrator.cli.serving.pages import NotThere
from orchestrator.cli.serving.security import FROM_FILE, MOST_BODY_BYTES, Guard

STATIC = {
    "report.css": ("analysis", "templates/report.css"),
    "serve.css": ("orchestrator.cli.serving", "static/serve.css"),
    "serve.js": ("orchestrator.cli.serving", "static/serve.js"),
    "icon.svg": ("orchestrator.cli.serving", "static/icon.svg"),
}
"""Everything that pages load, by the package that has it."""

_SAID = {
    404: "Nothing is at this address: it may be mistyped, or what was there has been moved or removed.",
    405: "This address takes the forms of these pages only; go back to the page that you came from.",
}
"""What the framework refuses by itself, in words."""


def make_app(server: Serving) -> Guard:
    """The application behind its guard. Its threads begin and end with the server that runs it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.begin()
        try:
            yield
        finally:
            server.end()

    app = Starlette(
        routes=_routes(),
        exception_handlers={TonnageError: _refused, HTTPException: _not_found, 500: _broken},
        lifespan=lifespan,
        max_body_size=MOST_BODY_BYTES,
    )
    app.state.serving = server
    return Guard(app, server.settings, server.sessions)


def _routes() -> list[Route]:
    one = "/campaigns/{name}"
    return [
        Route("/", fleet),
        Route("/campaigns", campaign_pages.campaigns),
        Route(one, campaign_pages.campaign),
        Route(f"{one}/trials", campaign_pages.trials),
        Route(f"{one}/trials/{{trial}}", campaign_pages.trial),
        Route(f"{one}/tables", downloads.tables),
        Route(f"{one}/tables/{{table}}.{{form}}", downloads.table),
        Route(f"{one}/report/{{path:path}}", downloads.report),
        Route("/compare", compare),
        Route("/capacity", capacity),
        Route("/capacity/demand.yaml", as_file),
        Route(FROM_FILE, from_file, methods=["GET", "POST"]),
        Route("/jobs/{job}", actions.job),
        Route("/live", _live),
        Route("/static/{file}", _static),
        Route("/login", actions.login, methods=["GET", "POST"]),
        Route("/logout", actions.logout, methods=["POST"]),
        Route("/start", actions.start, methods=["POST"]),
        Route(f"{one}/cancel", actions.cancel, methods=["POST"]),
        Route(f"{one}/report", actions.report, methods=["POST"]),
        Route("/release", actions.release, methods=["POST"]),
        Route("/sweep", actions.sweep, methods=["POST"]),
    ]


async def _live(request: Request) -> Response:
    return await stream(serving(request).hub, request)


async def _static(request: Request) -> Response:
    name = request.path_params["file"]
    if name not in STATIC:
        raise NotThere(f"no file '{name}'")
    package, path = STATIC[name]
    return FileResponse(Path(str(files(package) / path)), headers={"cache-control": "no-cache"})


def _refused(request: Request, error: Exception) -> Response:
    """One of our errors, as a page that says it."""
    status = 404 if isinstance(error, NotThere) else 400
    if isinstance(error, BrokerError | ResultsError):
        status = 503
    title = "There is no such page" if status == 404 else "That did not work"
    if isinstance(error, CampaignError):
        title = "This campaign asks for something that cannot be"
    return _error_page(request, title, str(error), status)


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = "There is no such page" if error.status_code == 404 else "That did not work"
    text = _SAID.get(error.status_code, str(error.detail))
    return _error_page(request, title, text, error.status_code)


def _broken(request: Request, _: Exception) -> Response:
    """A defect: the log has it, the page does not show it."""
    return _error_page(
        request, "That did not work", "This is a defect; the server's log says more.", 500
    )


def _error_page(request: Request, title: str, text: str, status: int) -> Response:
    pages = serving(request).pages
    return pages.page(request, "error.html.j2", title=title, text=text, status_code=status)
