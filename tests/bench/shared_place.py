"""The shared place of a campaign on a local S3 service: listed by ours and by bare HTTP, and counted."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import urlopen

import many_trials
from figure import Figure
from fleet import s3_server
from interleaved import in_turn, medians

from contract.parts import part_name
from contract.shared_parts import SharedParts, shared_parts
from contract.trial import Trial
from orchestrator.results import Results
from orchestrator.shared import fetch_missing

CAMPAIGN, PREFIX = "many", "some/prefix"
FETCHED = 20
PAGE = 1000
"""Objects that S3 lists at most in one answer."""
_REQUEST = re.compile(r'"(?:\x1b\[[0-9;]*m)*(GET|PUT|HEAD|POST|DELETE) ')
"""In a line of the log, which colours some."""


class Place(NamedTuple):
    """A place, and the file that the service writes a line per request to."""

    uri: str
    log: Path

    def requests(self) -> Counter[str]:
        """Requests so far, by method."""
        return Counter(_REQUEST.findall(self.log.read_text(errors="replace")))


@contextmanager
def counted_place() -> Iterator[Place]:
    """A service of one's own, any key being good."""
    with _keys_in_environment(), tempfile.NamedTemporaryFile() as log, s3_server(log) as uri:
        yield Place(uri, Path(log.name))


@contextmanager
def _keys_in_environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    os.environ |= dict.fromkeys(before, "any")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def listed_place(keys: list[str]) -> Iterator[Place]:
    """A service that lists these objects and holds none: for more of them than a whole service bears."""
    program = str(Path(__file__).with_name("listing_service.py"))
    with (
        tempfile.NamedTemporaryFile("w", suffix=".keys") as names,
        tempfile.NamedTemporaryFile() as log,
        _keys_in_environment(),
    ):
        names.write("\n".join(sorted(keys)))
        names.flush()
        command = [sys.executable, program, names.name]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            service = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
            yield Place(f"s3://parts/{PREFIX}?{service}", Path(log.name))
        finally:
            server.kill()
            server.communicate()


def scan_figures(count: int, rounds: int) -> Iterator[Figure]:
    """What is left of a plan whose parts are all at a place, and all here: a listing, and no more."""
    trials = many_trials.plan(count)
    names = [part_name(trial.trial_id, 1) for trial in trials]
    with tempfile.TemporaryDirectory(prefix="bench-resume-") as folder:
        results = Results(Path(folder))
        results.parts.mkdir()
        for name in names:
            (results.parts / name).touch()
        yield from _scanned(
            results, trials, [f"{PREFIX}/{CAMPAIGN}/parts/{name}" for name in names], rounds
        )


def _scanned(
    results: Results, trials: tuple[Trial, ...], keys: list[str], rounds: int
) -> Iterator[Figure]:
    with listed_place(keys) as place:
        shared = shared_parts(place.uri, CAMPAIGN)

        def ours() -> float:
            begun = time.perf_counter()
            assert fetch_missing(results, shared, trials) == 0
            return time.perf_counter() - begun

        ways = {"ours": ours, "bare": lambda: _paged(place.uri, len(keys))}
        found = medians(in_turn(rounds, ways))
        before = place.requests()
        ours()
        asked = (place.requests() - before).total()
    case = f"what is left of {len(keys):,} trials on s3://: plan - parts"
    note = "A service that only lists answers both, one page after the other."
    yield Figure(case, found["ours"], "s", found["bare"], "bare HTTP listing", note=note)
    yield Figure(f"{case}: requests", asked, "requests", -(-len(keys) // PAGE), "pages", budget=1)


def figures(objects: int, rounds: int) -> Iterator[Figure]:
    """Listing, and the requests that listing, putting and fetching take."""
    with counted_place() as place:
        shared = shared_parts(place.uri, CAMPAIGN)
        trials = many_trials.plan(objects)
        for part in many_trials.parts(trials, (1, 1)):
            shared.put(part.name, part.data)
        written = place.requests()
        ways = {"ours": lambda: _listed(shared, objects), "bare": lambda: _paged(place.uri, objects)}
        found = medians(in_turn(rounds, ways))
        before = place.requests()
        shared.list()
        listed = (place.requests() - before).total()
        with tempfile.TemporaryDirectory(prefix="bench-resume-") as folder:
            before = place.requests()
            fetched = fetch_missing(Results(Path(folder)), shared, trials[:FETCHED])
            asked = (place.requests() - before).total() - listed
    case = f"list {objects:,} parts on s3://"
    note = "A local S3 service (moto) answers both; its own time is most of both."
    yield Figure(case, found["ours"], "s", found["bare"], "bare HTTP listing", note=note)
    yield Figure(f"{case}: requests", listed, "requests", -(-objects // PAGE), "pages")
    yield Figure("requests to put a part on s3://", (written.total() - 1) / objects, "requests")
    yield Figure("requests to fetch a part from s3://", asked / fetched, "requests")


def _listed(shared: SharedParts, objects: int) -> float:
    begun = time.perf_counter()
    assert len(shared.list()) == objects
    return time.perf_counter() - begun


def _paged(uri: str, objects: int) -> float:
    begun = time.perf_counter()
    split = urlsplit(uri)
    service = parse_qs(split.query)["endpoint_override"][0]
    prefix = quote(f"{split.path.strip('/')}/{CAMPAIGN}/parts/", safe="")
    base = f"http://{service}/{split.netloc}?list-type=2&max-keys={PAGE}&prefix={prefix}"
    names: list[str] = []
    page = ""
    for _ in range(objects // PAGE + 2):
        with urlopen(base + page, timeout=60) as answer:  # noqa: S310 - our own service
            text = answer.read().decode()
        names += re.findall(r"<Key>([^<]*)</Key>", text)
        more = re.search(r"<NextContinuationToken>([^<]*)<", text)
        if more is None:
            break
        page = f"&continuation-token={quote(more[1], safe='')}"
    assert len(names) == objects
    return time.perf_counter() - begun
