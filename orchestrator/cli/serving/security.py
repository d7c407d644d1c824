"""The guard before every page: whose request it is, whether it may be answered, and what goes with it.

A page on a loopback address is within reach of every web site that a person has open: by a name that
was made to point here (DNS rebinding), or by forms that post here (cross-site request forgery). So the
Host header must be an address or a known name, and what changes something must come from this page.
"""

import ipaddress
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.cli.serving.sessions import COOKIE, Sessions
from orchestrator.cli.serving.settings import ServeSettings

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # with 'no-referrer' browsers would say 'Origin: null' of this page's own forms
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
OPEN_PATHS = ("/login", "/static/")
"""What may be seen before the token is entered, where reading needs it."""

MOST_BODY_BYTES = 64_000
FROM_FILE = "/capacity/from-file"
"""Takes a file and changes nothing: whoever may read may send one, from a form of this page."""


class Guard:
    """Refuses what must not be answered; adds the security headers to everything."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, sessions: Sessions) -> None:
        self._app, self._settings, self._sessions = app, settings, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        signed_in = self._sessions.knows(Request(scope).cookies.get(COOKIE))
        scope.setdefault("state", {})["signed_in"] = signed_in
        refusal = self._refusal(scope, signed_in=signed_in)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, *, signed_in: bool) -> Response | None:
        headers = Headers(scope=scope)
        if not known_host(headers, self._settings.names):
            return PlainTextResponse(
                "This page does not answer to that name. Ask for it by its address, or start it with "
                "--host-name NAME.\n",
                421,
            )
        path, changes = scope["path"], scope["method"] not in ("GET", "HEAD")
        if changes and not from_here(headers):
            return PlainTextResponse("This must be sent by a form of this page itself.\n", 403)
        if (size := headers.get("content-length", "")).isdecimal() and int(size) > MOST_BODY_BYTES:
            return PlainTextResponse(
                f"What was sent has {size} bytes; allowed: {MOST_BODY_BYTES}. `tonnage capacity` takes "
                "larger demand files as they are.\n",
                413,
            )
        if path.startswith(OPEN_PATHS) or signed_in:
            return None
        if changes and not (path == FROM_FILE and self._settings.loopback):
            return PlainTextResponse("Read-only: enter the token first, at /login.\n", 403)
        if self._settings.loopback:
            return None
        if path == "/live":
            return PlainTextResponse("Enter the token first, at /login.\n", 401)
        return RedirectResponse(f"/login?to={quote(path)}", 303)


def known_host(headers: Headers, names: frozenset[str]) -> bool:
    """Whether a request's one Host header is an address, ``localhost``, or a name that was allowed.

    An address cannot be made to point elsewhere, as a name can.
    """
    said = headers.getlist("host")
    if len(said) != 1:
        return False
    try:
        name = (urlsplit(f"//{said[0]}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def from_here(headers: Headers) -> bool:
    """Whether a request that changes something was sent by a page of this same origin."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is None or site != "same-origin":
        return False
    return urlsplit(origin).netloc.lower() == headers["host"].lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
