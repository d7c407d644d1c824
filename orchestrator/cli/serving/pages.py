"""Templates to pages: one environment, everything escaped, words and units as in the report."""

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from analysis import palette, quantities
from contract.errors import UseError
from orchestrator.cli.serving.settings import ServeSettings
from orchestrator.cli.views.words import moment, span


class NotThere(UseError):
    """What a page was asked for does not exist."""


class Pages:
    """All pages of one server."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("orchestrator.cli.serving"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "count": quantities.count,
            "plural": quantities.plural,
            "size": lambda value: "n/a" if value is None else quantities.size(value),
            "took": lambda ns: "n/a" if ns is None else quantities.duration(ns),
            "span": span,
            "moment": moment,
            "said": said,
            "ago": lambda at_s: f"{span(max(0.0, time.time() - at_s))} ago",
            "svg": Markup,
            "lines": str.splitlines,
            "tied": quantities.tied,
        }
        self._environment.globals |= {"swatch": palette.swatch, "version": version("tonnage")}

    def page(self, request: Request, name: str, **facts: Any) -> HTMLResponse:
        """The page of a template. ``topic`` among the facts makes it a live one."""
        status = facts.pop("status_code", 200)
        shared = {
            "path": request.url.path,
            "signed_in": request.state.signed_in,
            "may_sign_in": self._settings.token is not None,
            "has_broker": self._settings.broker is not None,
            "topic": "",
            "to": self._linker(request),
        }
        text = self._environment.get_template(name).render(shared | facts)
        return HTMLResponse(text, status)

    @staticmethod
    def _linker(request: Request) -> Any:
        def link(**changes: object) -> str:
            """This page with some of its query changed; what is empty is left out."""
            query: Mapping[str, object] = dict(request.query_params) | changes
            kept = {key: str(value) for key, value in query.items() if value not in ("", None)}
            return f"{request.url.path}?{urlencode(kept)}"

        return link


def said(value: object) -> str:
    """A parameter or fact: truth values and what is missing in words."""
    words = {"None": "none", "True": "yes", "False": "no"}  # facts of hosts are text already
    return words.get(str(value), str(value))


def number(text: str | None, default: int = 1) -> int:
    """A whole number of a query; anything else is the default."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else default
