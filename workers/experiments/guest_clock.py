"""A guest's own clock against the host's: one that runs otherwise times its own work wrongly."""

from dataclasses import dataclass

from contract.rows import Sample
from workers.agent import read_uptime_ns
from workers.bench import Bench
from workers.experiments.stages import Running

MOST_DRIFT = 0.001
"""A guest whose clock ran faster or slower than this, beyond what can be seen, voids its trial."""
_STEP_NS = 10_000_000
"""/proc/uptime is in hundredths of a second."""


@dataclass(frozen=True, slots=True)
class _Look:
    guest_ns: float
    host_ns: float
    error_ns: float


class GuestClock:
    """Two looks at the uptime of an instance that has a kernel of its own; others have none to see."""

    def __init__(self, bench: Bench, running: Running) -> None:
        self._bench, self._running = bench, running
        self._first: _Look | None = None

    async def look(self) -> None:
        """The first look, before the work."""
        self._first = await self._see()

    async def judge(self) -> None:
        """The second look: note the drift, and void the trial for one beyond ``MOST_DRIFT``."""
        last = await self._see()
        if self._first is None or last is None:
            return
        passed_ns = last.host_ns - self._first.host_ns
        if passed_ns <= 0:
            return
        drift = (last.guest_ns - self._first.guest_ns) / passed_ns - 1
        error = (last.error_ns + self._first.error_ns) / passed_ns
        self._bench.recorder.sample(
            Sample(self._bench.now(), "overhead.guest_clock_drift", drift, "1", instance=0)
        )
        self._bench.findings["guest_clock"] = {"drift": drift, "error": error}
        if abs(drift) > MOST_DRIFT + error:
            self._bench.void(f"the guest's clock ran {drift:+.2%} against the host's")

    async def _see(self) -> _Look | None:
        """Uptime of the guest, and the moment of the host in the middle of asking for it."""
        assert self._running.agent is not None
        before = self._bench.now()
        answer = await self._running.agent.ask("uptime")
        after = self._bench.now()
        uptime_ns = read_uptime_ns(answer.get("uptime_s"))
        if uptime_ns is None:
            return None
        return _Look(uptime_ns, (before + after) / 2, (after - before) / 2 + _STEP_NS)
