"""The page of the fleet: every host of the broker, found, sorted, a page at a time."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.cli.serving.context import serving
from orchestrator.cli.serving.pages import number
from orchestrator.cli.views.host_rows import SORTS, STATES, Asked, by_state, page_of


def fleet(request: Request) -> Response:
    """The hosts that are asked for."""
    server, query = serving(request), request.query_params
    view = server.fleet.view()
    asked = Asked(
        query.get("q", "")[:200],
        query.get("state", ""),
        query.get("sort", "name"),
        number(query.get("page")),
    )
    found = page_of(view.hosts.values(), asked, view.now_s)
    campaigns = {
        row.trial_id: server.shelf.campaign_of(row.trial_id) for row in found.rows if row.trial_id
    }
    return server.pages.page(
        request,
        "fleet.html.j2",
        topic="fleet",
        asked=asked,
        sorts=SORTS,
        found=found,
        campaigns=campaigns,
        total=len(view.hosts),
        states=by_state(view.hosts.values()),
        every_state=STATES,
        unbelieved=sum(bool(one.unbelieved) for one in view.hosts.values()),
        has_keys=server.settings.keys is not None,
        signing=sum(one.signs for one in view.hosts.values()),
        problem=view.problem,
        running=[one for one in server.shelf.overviews.values() if one.state == "running"],
        jobs=server.jobs.latest("sweep", most=3) if request.state.signed_in else [],
    )
