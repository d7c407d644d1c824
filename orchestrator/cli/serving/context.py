"""Everything that a server has, in one place, and how a page gets at it."""

from dataclasses import dataclass

from starlette.requests import Request

from orchestrator.cli.serving.answers import Answers
from orchestrator.cli.serving.calculator import Calculator
from orchestrator.cli.serving.drawing import Drawings
from orchestrator.cli.serving.fleet import Fleet
from orchestrator.cli.serving.jobs import Jobs
from orchestrator.cli.serving.live import Hub
from orchestrator.cli.serving.pages import Pages
from orchestrator.cli.serving.sessions import Sessions
from orchestrator.cli.serving.settings import ServeSettings
from orchestrator.cli.serving.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Serving:
    """One server's parts."""

    settings: ServeSettings
    hub: Hub
    shelf: Shelf
    drawings: Drawings
    fleet: Fleet
    jobs: Jobs
    pages: Pages
    sessions: Sessions
    answers: Answers
    calculator: Calculator

    @classmethod
    def of(cls, settings: ServeSettings) -> "Serving":
        """The parts of a new server, none of them begun."""
        hub = Hub()
        shelf = Shelf(settings.results_root, hub)
        return cls(
            settings,
            hub,
            shelf,
            Drawings(shelf, hub),
            Fleet(settings.broker, hub, settings.keys),
            Jobs(settings, hub.changed),
            Pages(settings),
            Sessions(settings.token),
            Answers(hub.changed),
            Calculator(),
        )

    def begin(self) -> None:
        """Start what works beside the pages."""
        self.hub.open()
        self.shelf.begin()
        self.drawings.begin()
        self.fleet.begin()

    def end(self) -> None:
        """Stop it."""
        self.hub.close()
        self.answers.end()
        self.calculator.close()
        for one in (self.fleet, self.drawings, self.shelf):
            one.end()


def serving(request: Request) -> Serving:
    """The server that a request came to."""
    found: Serving = request.app.state.serving
    return found
