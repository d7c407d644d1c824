"""What changes something: signing in and out; starting, cancelling, releasing, sweeping.

The guard has seen to it that the request came from a page of this server, and that the token was
entered. Everything long is a process of its own: see ``jobs``.
"""

import asyncio
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from contract.errors import UseError
from orchestrator.cli.serving.context import Serving, serving
from orchestrator.cli.serving.pages import NotThere
from orchestrator.cli.serving.sessions import COOKIE, LASTS_S
from orchestrator.cli.serving.starting import run_words, sweep_words

WRONG_TOKEN_S = 1.0
"""How long a wrong token is answered late."""


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form that was sent; of one that came twice the last."""
    body = (await request.body()).decode(errors="replace")
    found = parse_qs(body, keep_blank_values=True, max_num_fields=100)
    return {name: values[-1] for name, values in found.items()}


async def login(request: Request) -> Response:
    """The form for the token, and what becomes of it."""
    server = serving(request)
    to = request.query_params.get("to", "/")
    complaint = "" if server.sessions.possible else "This server was started without --token: read-only."
    if request.method == "POST":
        given = await fields_of(request)
        to = given.get("to", "/")
        session = server.sessions.open(given.get("token", ""))
        if session is not None:
            return _with_cookie(RedirectResponse(_local(to), 303), session)
        await asyncio.sleep(WRONG_TOKEN_S)
        complaint = complaint or "That is not the token."
    status = 403 if request.method == "POST" else 200
    return server.pages.page(
        request, "login.html.j2", to_page=_local(to), complaint=complaint, status_code=status
    )


async def logout(request: Request) -> Response:
    """End the session."""
    serving(request).sessions.close(request.cookies.get(COOKIE))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


async def start(request: Request) -> Response:
    """Run a campaign file. What is wrong with it is said at once."""
    server, given = serving(request), await fields_of(request)

    def begin() -> str:
        name, words = run_words(server.settings, given.get("file", ""))
        if any(job.running for job in server.jobs.of(name) if job.kind == "run"):
            raise UseError(f"'{name}' is running already")
        retry = ("--retry-failed",) if given.get("retry_failed") == "yes" else ()
        return server.jobs.start("run", name, (*words, *retry)).job_id

    return _to_job(await run_in_threadpool(begin))


async def cancel(request: Request) -> Response:
    """End a campaign: on the fleet by its broker, else the process that was started here."""
    server, given = serving(request), await fields_of(request)
    name, now = request.path_params["name"], given.get("now") == "yes"

    def end() -> str:
        campaign = server.shelf.overview(name).campaign
        if server.settings.broker is not None:
            words = ("cancel", *(("--now",) if now else ()), "--", campaign)
            return server.jobs.start("cancel", name, words).job_id
        for job in server.jobs.of(name):
            if job.kind == "run" and server.jobs.stop(job):
                return job.job_id
        raise UseError(f"'{name}' was not started from here, and there is no broker to cancel it by")

    return _to_job(await run_in_threadpool(end))


async def report(request: Request) -> Response:
    """Gather the parts that are there, and write dataset and report into the folder."""
    server, name = serving(request), request.path_params["name"]

    def write() -> str:
        folder = server.shelf.folder(name)
        return server.jobs.start("report", name, ("report", str(folder.resolve()))).job_id

    return _to_job(await run_in_threadpool(write))


async def release(request: Request) -> Response:
    """Let campaigns use a quarantined host again."""
    server = _with_broker(request)
    host = (await fields_of(request)).get("host", "")
    await run_in_threadpool(server.fleet.release, host)
    return RedirectResponse(f"/?q={quote(host)}", 303)


async def sweep(request: Request) -> Response:
    """List what was left on hosts; remove it only after that was seen."""
    server, given = _with_broker(request), await fields_of(request)
    host, remove = given.get("host", ""), given.get("remove") == "yes"

    def begin() -> str:
        if host and host not in server.fleet.view().hosts:
            raise UseError(f"no host '{host}' is registered")
        if remove:
            seen = server.jobs.job(given.get("seen", ""))
            if seen.kind != "sweep" or not seen.dry_run or seen.subject != host or seen.running:
                raise UseError("list what was left first; it is removed from the page that shows it")
        words = sweep_words(host, dry_run=not remove)
        return server.jobs.start("sweep", host, words, dry_run=not remove).job_id

    return _to_job(await run_in_threadpool(begin))


def job(request: Request) -> Response:
    """What a command that was started has said so far."""
    server, job_id = serving(request), request.path_params["job"]
    try:
        found, log = server.jobs.job(job_id), server.jobs.log(job_id)
    except UseError as error:
        raise NotThere(str(error)) from error
    return server.pages.page(request, "job.html.j2", topic=f"job:{job_id}", job=found, log=log)


def _with_broker(request: Request) -> Serving:
    server = serving(request)
    if server.settings.broker is None:
        raise UseError("there is no broker: start `tonnage serve` with --broker URL")
    return server


def _local(to: str) -> str:
    """A path of this server, whatever was asked for: nobody is sent elsewhere after signing in."""
    plain = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if plain else "/"


def _to_job(job_id: str) -> Response:
    return RedirectResponse(f"/jobs/{job_id}", 303)


def _with_cookie(answer: Response, session: str) -> Response:
    answer.set_cookie(COOKIE, session, max_age=LASTS_S, path="/", httponly=True, samesite="strict")
    return answer
