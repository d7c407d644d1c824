"""What is read again and again, also when the broker goes away and comes back."""

import pytest
from serving_rig import NOW_S, Rig, host

from contract.errors import BrokerError, ResultsError
from orchestrator.cli.terminal import facts as module
from orchestrator.cli.terminal.facts import FactsReader
from orchestrator.cli.views.fleet_view import FleetView


def test_a_broker_must_answer_at_first_and_is_waited_for_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, connected = [True], []

    def read_view(client: object, only: list[str]) -> FleetView:
        assert only == ["h1", "h2"]
        if away[0]:
            raise BrokerError("it does not answer")
        return FleetView({"h1": host("h1")}, NOW_S)

    monkeypatch.setattr(module, "read_view", read_view)
    monkeypatch.setattr("contract.broker.connect", lambda url: connected.append(url) or object())
    reader = FactsReader(rig.results.folder, "redis://127.0.0.1:1/0", closely=False)
    with pytest.raises(BrokerError):
        reader.read()
    away[0] = False
    assert set(reader.read().fleet.hosts) == {"h1"}  # type: ignore[union-attr]
    away[0] = True
    fleet = reader.read().fleet
    assert fleet is not None
    assert (fleet.problem, fleet.hosts) == ("it does not answer", {})
    away[0] = False
    assert reader.read().fleet.problem == ""  # type: ignore[union-attr]
    assert len(connected) == 2  # anew after it was away


def test_nothing_is_read_of_parts_that_nobody_looks_at(rig: Rig) -> None:
    rig.put(0)
    facts = FactsReader(rig.results.folder, None, closely=False).read()
    assert (facts.parts, facts.recent, facts.parts_whole) == (None, (), True)


def test_a_folder_without_a_plan_is_refused(rig: Rig) -> None:
    with pytest.raises(ResultsError, match="holds no campaign"):
        FactsReader(rig.root, None, closely=True).read()
