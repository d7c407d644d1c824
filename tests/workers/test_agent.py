"""Speaking with the agent: only its own words count, and silence has an end."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import AgentError, AgentSilent, InstanceExited
from workers.agent import Agent, parse_line
from workers.clock import VirtualClock
from workers.console import Console

NONCE = "00ff"
BEACON = json.dumps({"beacon": NONCE, "uptime_s": "1.25"})


class Scripted(Console):
    """Says its lines one a second, then nothing; answers requests by a function."""

    def __init__(self, *lines: str, answer: Any = None) -> None:
        super().__init__()
        self._lines = list(lines)
        self._answer = answer
        self.asked: list[str] = []

    async def receive(self) -> str:
        await asyncio.sleep(1 if self._lines else 1e6)
        line = self._lines.pop(0)
        self.tail.append(line)
        return line

    async def send(self, line: str) -> None:
        self.asked.append(line)
        self._lines.append(self._answer(line.partition(" ")[0]))

    def close(self) -> None:
        """Nothing to let go of."""


def hear_beacon(*lines: str) -> Agent:
    agent = Agent(Scripted(*lines), NONCE)
    VirtualClock().run(agent.beacon(30))
    return agent


def ask(answer: Any, *words: object) -> tuple[dict[str, Any], list[str]]:
    console = Scripted(answer=answer)
    agent = Agent(console, NONCE)
    return VirtualClock().run(agent.ask(*map(str, words))), console.asked


def test_the_first_words_bring_the_guests_uptime() -> None:
    assert hear_beacon(BEACON).uptime_ns == 1_250_000_000


@pytest.mark.parametrize("uptime", ["", None, "soon", [1]])
def test_an_instance_without_a_guest_has_no_uptime(uptime: Any) -> None:
    assert hear_beacon(json.dumps({"beacon": NONCE, "uptime_s": uptime})).uptime_ns is None


def test_words_that_are_not_the_agents_are_passed_over() -> None:
    other = json.dumps({"beacon": "another"})
    noise = ["[    0.00] Linux version", "{", "{not json}", "[1]", "", "{}", other, '{"beacon": 5}']
    assert hear_beacon(*noise, BEACON).uptime_ns == 1_250_000_000


def test_silence_ends_with_what_the_console_said() -> None:
    with pytest.raises(AgentSilent, match=r"no 'beacon' within 30 s; console said: Kernel panic \| bye"):
        hear_beacon("Kernel panic", "bye")
    with pytest.raises(AgentSilent, match="console said: nothing at all"):
        hear_beacon()


def test_a_beacon_that_comes_too_late_is_silence() -> None:
    with pytest.raises(AgentSilent):
        hear_beacon(*["."] * 40, BEACON)


def test_every_request_has_its_own_ticket() -> None:
    console = Scripted(answer=lambda ticket: json.dumps({"re": ticket, "ok": True, "n": 1}))
    agent = Agent(console, NONCE)

    async def twice() -> dict[str, Any]:
        await agent.ask("ping")
        return await agent.ask("cpu", 3, "x")

    assert VirtualClock().run(twice())["n"] == 1
    assert console.asked == [f"{NONCE}-1 ping", f"{NONCE}-2 cpu 3 x"]


def test_an_answer_to_another_request_is_no_answer() -> None:
    with pytest.raises(AgentSilent, match=f"no 're' within 10 s; console said: .*{NONCE}-0"):
        ask(lambda _: json.dumps({"re": f"{NONCE}-0", "ok": True}), "ping")


@pytest.mark.parametrize("ok", [False, None, "yes", 1])
def test_a_refusal_says_why(ok: Any) -> None:
    with pytest.raises(AgentError, match="the agent refused 'dance': no feet"):
        ask(lambda ticket: json.dumps({"re": ticket, "ok": ok, "error": "no feet"}), "dance")


def test_a_dead_console_is_not_silence() -> None:
    class Dead(Scripted):
        async def receive(self) -> str:
            raise InstanceExited("the console closed")

    with pytest.raises(InstanceExited):
        VirtualClock().run(Agent(Dead(), NONCE).beacon(30))


@given(st.lists(st.text(max_size=30), max_size=5))
def test_no_noise_raises_anything(noise: list[str]) -> None:
    assert hear_beacon(*noise, BEACON).uptime_ns == 1_250_000_000


def test_an_echo_before_the_agents_words_is_passed_over() -> None:
    assert parse_line('n-p262 {"beacon":"n"}') == {"beacon": "n"}
    assert parse_line("n-p263 ping") is None
    assert parse_line("n-p264 {ping") is None
