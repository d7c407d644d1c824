"""The pages of campaigns: all of them, one, its trials, and one trial."""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from analysis.cells import variant_name
from contract.errors import PartError, UseError
from contract.parts import part_name, read_part
from orchestrator.cli.serving.context import serving
from orchestrator.cli.serving.pages import NotThere, number
from orchestrator.cli.serving.shelf import Overview, Shelf
from orchestrator.cli.serving.starting import startable
from orchestrator.cli.views.reading import CampaignReader, Ended
from orchestrator.outline import PlannedTrial

ROWS_PER_PAGE = 100
MOST_RECENT = 12
MOST_INSTANCES = 200
MOST_REASONS = 20
STATES = ("running", "incomplete", "done", "dataset", "unreadable")
OUTCOMES = ("completed", "partial", "failed", "skipped", "lost", "open")
VERDICTS = ("valid", "suspect", "invalid")
_INSTANCE = (
    "instance",
    "outcome",
    "error_class",
    "error_text",
    "warm_up",
    "t_intent",
    "t_ready",
    "t_gone",
)


def campaigns(request: Request) -> Response:
    """Every results folder: those under way first, then the latest."""
    server = serving(request)
    shelf = server.shelf
    words = request.query_params.get("q", "").lower().split()
    state = request.query_params.get("state", "")
    every = list(shelf.overviews.values())
    counts = {word: sum(one.state == word for one in every) for word in STATES}
    found = [
        one
        for one in every
        if state in ("", one.state)
        and all(word in f"{one.name} {one.campaign}".lower() for word in words)
    ]
    found.sort(key=lambda one: (one.state != "running", -one.changed_s, one.name))
    at, of, shown = _cut(found, number(request.query_params.get("page")))
    return server.pages.page(
        request,
        "campaigns.html.j2",
        topic="campaigns",
        shown=shown,
        found=len(found),
        counts={word: count for word, count in counts.items() if count},
        total=len(every),
        page=at,
        pages=of,
        shelf=shelf,
        asked={"q": request.query_params.get("q", ""), "state": state},
        files=startable(server.settings.campaigns) if request.state.signed_in else [],
        jobs=server.jobs.latest("run", most=8),
    )


def campaign(request: Request) -> Response:
    """One campaign: how far, on which host, what failed and why, what was measured."""
    name, shelf = request.path_params["name"], serving(request).shelf
    overview = _overview(shelf, name)
    shared = {"topic": f"campaign:{name}", "one": overview, "jobs": serving(request).jobs.of(name)}
    if overview.problem or not overview.planned:
        return serving(request).pages.page(request, "campaign_bare.html.j2", **shared)
    reader = shelf.reader(name)
    galleries, drawn = serving(request).drawings.galleries(name)
    at, of, hosts = _host_page(reader, request)
    return serving(request).pages.page(
        request,
        "campaign.html.j2",
        **shared,
        hosts=hosts,
        page=at,
        pages=of,
        asked=request.query_params.get("q", ""),
        shares=_shares(reader),
        reasons=overview.reasons[:MOST_REASONS],
        more_reasons=max(0, len(reader.standing.reasons) - MOST_REASONS),
        recent=[_trial_row(*one) for one in reader.recent(MOST_RECENT)],
        galleries=galleries,
        drawn=drawn,
        outdated=_is_outdated(shelf.folder(name), overview),
    )


def trials(request: Request) -> Response:
    """The trials of a campaign, chosen by host, outcome, verdict and words of the reason."""
    name, shelf = request.path_params["name"], serving(request).shelf
    overview = _overview(shelf, name)
    if overview.problem or not overview.planned:
        raise NotThere(f"'{name}' has no plan, so nothing is known of its single trials")
    reader, query = shelf.reader(name), request.query_params
    asked = {key: query.get(key, "") for key in ("q", "outcome", "verdict", "host")}
    with reader.lock:
        rows = [
            _trial_row(trial, reader.ended.get(trial_id)) for trial_id, trial in reader.trials.items()
        ]
    found = [row for row in rows if _is_asked(row, asked)]
    at, of, shown = _cut(found, number(query.get("page")))
    return serving(request).pages.page(
        request,
        "trials.html.j2",
        topic=f"campaign:{name}",
        one=overview,
        shown=shown,
        found=len(found),
        page=at,
        pages=of,
        asked=asked,
        outcomes=OUTCOMES,
        verdicts=VERDICTS,
    )


def trial(request: Request) -> Response:
    """One trial: what was asked, how it ended and why, facts of its host, and its instances."""
    name, trial_id = request.path_params["name"], request.path_params["trial"]
    shelf = serving(request).shelf
    overview = _overview(shelf, name)
    if overview.problem or not overview.planned:
        raise NotThere(f"'{name}' has no plan, so nothing is known of its single trials")
    reader = shelf.reader(name)
    planned, ended = reader.trials.get(trial_id), reader.ended.get(trial_id)
    if planned is None:
        raise NotThere(f"campaign '{name}' plans no trial {trial_id}")
    shared = {"one": overview, "row": _trial_row(planned, ended), "topic": ""}
    if ended is None:
        return serving(request).pages.page(
            request, "trial.html.j2", **shared | {"topic": f"campaign:{name}"}, record=None, problem=""
        )
    try:
        part = read_part((reader.results.parts / part_name(trial_id, ended.attempt)).read_bytes())
    except (OSError, PartError) as error:
        return serving(request).pages.page(
            request, "trial.html.j2", **shared, record=None, problem=str(error)
        )
    instances = part.tables["instances"]
    return serving(request).pages.page(
        request,
        "trial.html.j2",
        **shared,
        problem="",
        record=part.record,
        facts=_flat(part.record.facts),
        versions=_flat(part.record.versions),
        instances=instances.select(_INSTANCE).slice(0, MOST_INSTANCES).to_pylist(),
        instance_count=instances.num_rows,
        samples=part.record.tables["samples"].rows if "samples" in part.record.tables else 0,
    )


def _overview(shelf: Shelf, name: str) -> Overview:
    try:
        return shelf.overview(name)
    except UseError as error:
        raise NotThere(str(error)) from error


def _host_page(reader: CampaignReader, request: Request) -> tuple[int, int, list[tuple[str, Any]]]:
    words = request.query_params.get("q", "").lower()
    with reader.lock:
        hosts = [(host, one) for host, one in reader.standing.hosts.items() if words in host]
    hosts.sort(key=lambda item: (-(item[1].outcomes["failed"]), -item[1].left, item[0]))
    return _cut(hosts, number(request.query_params.get("page")), 50)


def _shares(reader: CampaignReader) -> list[dict[str, Any]]:
    with reader.lock:
        return [
            {
                "experiment": experiment,
                "variant": variant_name(driver, profile),
                "planned": share.planned,
                "ended": share.outcomes.total(),
                "outcomes": dict(share.outcomes),
                "verdicts": dict(share.verdicts),
            }
            for (experiment, driver, profile), share in sorted(reader.shares.items())
        ]


def _trial_row(planned: PlannedTrial, ended: Ended | None) -> dict[str, Any]:
    return {
        "trial_id": planned.trial_id,
        "host": planned.host,
        "experiment": planned.experiment,
        "variant": variant_name(planned.driver, planned.profile),
        "block": planned.block,
        "outcome": ended.end.outcome if ended else "open",
        "verdict": ended.end.verdict if ended else "",
        "why": ended.end.why if ended else "",
        "at_s": ended.at_s if ended else None,
        "attempt": ended.attempt if ended else None,
    }


def _is_asked(row: dict[str, Any], asked: dict[str, str]) -> bool:
    if any(asked[key] not in ("", row[key]) for key in ("outcome", "verdict", "host")):
        return False
    text = " ".join(
        str(row[key]) for key in ("trial_id", "host", "experiment", "variant", "why")
    ).lower()
    return all(word in text for word in asked["q"].lower().split())


def _cut(found: list[Any], page: int, rows: int = ROWS_PER_PAGE) -> tuple[int, int, list[Any]]:
    """Which page it is, of how many, and what is on it."""
    pages = max(1, -(-len(found) // rows))
    page = min(max(1, page), pages)
    return page, pages, found[(page - 1) * rows : page * rows]


def _flat(found: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Facts as lines: ``engine.version`` for what is nested."""
    lines: list[tuple[str, str]] = []
    for key, value in sorted(found.items()):
        if isinstance(value, dict):
            lines += _flat(value, f"{before}{key}.")
        else:
            lines.append((f"{before}{key}", "not known" if value is None else str(value)))
    return lines


def _is_outdated(folder: Path, overview: Overview) -> bool:
    """Whether parts came in after the dataset was gathered."""
    manifest = folder / "dataset" / "manifest.json"
    try:
        return overview.has_dataset and (folder / "parts").stat().st_mtime > manifest.stat().st_mtime
    except OSError:
        return False
