"""The staircase of density: up until a rule says stop, down again over the same steps."""

from typing import Any

from contract.rows import InstanceRow
from workers.bench import Bench
from workers.experiments import stop_rules
from workers.experiments.arrivals import each
from workers.experiments.guard import Guard
from workers.experiments.held import Crowd
from workers.experiments.limiting import Level, knee, limiting, room, slope
from workers.experiments.stages import Running
from workers.experiments.stop_rules import Rails, Stop
from workers.experiments.window import Window
from workers.gauge import Gauge

UP_SHARE = 0.6
"""Of the trial's deadline: a staircase that is to come down again must have ended its way up by then."""
UP_ONLY_SHARE = 0.85
"""The same for one that takes all down at once."""
DOWN_SHARE = 0.85
"""Of the trial's deadline: after it, what is left is taken down at once and not sampled."""
_MIB = 1024 * 1024


class Staircase:
    """One trial's staircase. ``run`` is called once."""

    def __init__(self, bench: Bench, gauge: Gauge) -> None:
        params = bench.params
        self._bench = bench
        self._params: Any = params
        self._first = gauge
        self._rails = rails_of(params, gauge)
        self._guard = Guard(bench, self._rails)
        rate = params.request_rate_per_s if params.workload == "light" else None
        self._crowd = Crowd(bench, rate)
        self._window = Window(bench, self._guard, self._crowd)
        self._rows = bench.recorder.rows.instances
        self._asked = 0
        self._under_way = 0
        self._levels: list[Level] = []
        self._stop: Stop | None = None

    async def run(self) -> None:
        """Baseline, up, down. However it ends, no instance of it is left."""
        try:
            await self._climb()
            self._conclude()
            if self._params.descend:
                await self._descend()
        finally:
            await self._crowd.clear()

    async def _climb(self) -> None:
        await self._measure(probing=False)
        while not self._is_over():
            begun_ns = self._bench.now()
            self._window.step += 1
            await self._start_step()
            if self._is_urgent():
                self._window.note_height(1)
            else:
                await self._measure(probing=self._params.probe_s > 0)
            now_ns = self._bench.now()
            self._end_by(stop_rules.count(self._asked, len(self._rows)))
            self._end_by(stop_rules.deadline(now_ns, now_ns - begun_ns, self._up_deadline_ns))

    async def _start_step(self) -> None:
        """Start what belongs to the next step; the very first instance alone."""
        failed, asked = self._failures(), self._asked
        more = max(self._params.step, int(self._params.step_share * len(self._crowd.ready)))
        rows = self._rows[asked : asked + more]
        if asked == 0:
            await self._start(rows[0])
            if not self._is_over():
                self._end_by(await self._window.try_first())
            rows = rows[1:]
        await each(rows, self._params.concurrency, self._start)
        await self._bury()
        self._window.note("asked", self._asked - asked)
        self._window.note("start_failures", self._failures() - failed)

    async def _start(self, row: InstanceRow) -> None:
        """Start one, unless a rule says that no more may be started."""
        if self._is_over():
            return
        self._under_way += 1
        try:
            self._end_by(await self._guard.before_start(self._under_way))
            self._end_by(stop_rules.deadline(self._bench.now(), 0, self._up_deadline_ns))
            if self._is_over():
                return
            self._asked += 1
            await self._crowd.add(Running(row), self._params.ready_deadline_s)
        finally:
            self._under_way -= 1
        self._end_by(self._start_failures())

    async def _measure(self, *, probing: bool) -> None:
        """Settle, sample, probe, footprints; what is found on the way may end the climb."""
        stop = await self._window.settle()
        self._window.note_height(1)
        level = stop or await self._window.sample()
        if isinstance(level, Stop):
            self._end_by(level)
            return
        self._levels.append(level)
        if probing:
            self._end_by(await self._probe())
        await self._window.footprint()
        await self._bury()

    async def _probe(self) -> Stop | None:
        """Probe; a missed objective ends the climb only when a second probe misses it as well."""
        limit_ms = self._params.slo_p99_ms
        limit_ns = None if limit_ms is None else limit_ms * 1e6
        for _ in range(2):
            found = await self._window.probe(self._window.choose())
            stop = found if isinstance(found, Stop) else stop_rules.slo(found, limit_ns)
            if stop is None or stop.urgent:
                return stop
        return stop

    async def _descend(self) -> None:
        """Down over the same heights to nothing, the youngest first, as far as time allows."""
        up = [level.instances for level in self._levels]
        deadline_ns = round(self._bench.trial.deadline_s * DOWN_SHARE * 1e9)
        for height in sorted({height for height in up if height < len(self._crowd.ready)}, reverse=True):
            if self._bench.now() >= deadline_ns:
                return
            await self._crowd.shrink(height)
            self._window.step += 1
            stop = await self._window.settle()
            self._window.note_height(-1)
            level = stop or await self._window.sample()
            if isinstance(level, Level) and height == 0:
                kept = level.mem_used_bytes - self._levels[0].mem_used_bytes
                self._found["kept_after_descent_bytes"] = round(kept)
            await self._window.footprint()
            await self._crowd.bury()

    def _conclude(self) -> None:
        """Findings of the way up; and the rows of those that were never asked for."""
        assert self._stop is not None
        stop, levels = self._stop, self._levels
        carried = room(levels, self._first, self._rails)
        self._bench.findings["density"] = {
            "stop_rule": stop.rule,
            "stop_text": stop.text,
            "peak_instances": max([lv.instances for lv in levels] + [len(self._crowd.ready)]),
            "limiting": limiting(stop, carried),
            "knee": knee(stop),
            "steps_up": self._window.step,
            "asked": self._asked,
            "start_failures": self._failures(),
            "deaths": self._crowd.deaths,
            "unsettled_steps": self._window.unsettled,
            "room_instances": carried,
            "mem_slope_bytes": slope([(lv.instances, lv.mem_used_bytes) for lv in levels]),
            "cpu_slope_cpus": slope([(lv.instances, lv.cpus_busy) for lv in levels]),
            "memory_floor_bytes": self._rails.floor_bytes,
            "lowest_available_bytes": self._guard.lowest_available_bytes,
            "hidden_processes": self._window.hidden,
        }
        self._bench.recorder.pass_over(self._rows[self._asked :], "stopped", stop.text)

    @property
    def _found(self) -> dict[str, Any]:
        found: dict[str, Any] = self._bench.findings["density"]
        return found

    @property
    def _up_deadline_ns(self) -> int:
        """The earlier of the staircase's own deadline and a share of the trial's."""
        share = UP_SHARE if self._params.descend else UP_ONLY_SHARE
        most_s = share * self._bench.trial.deadline_s
        return round(min(self._params.staircase_deadline_s or most_s, most_s) * 1e9)

    def _end_by(self, stop: Stop | None) -> None:
        """The first rule that ends the climb counts; a host in need overrules one that was in none."""
        if self._stop is None or (stop is not None and stop.urgent and not self._stop.urgent):
            self._stop = stop

    def _is_over(self) -> bool:
        return self._stop is not None

    def _is_urgent(self) -> bool:
        return self._stop is not None and self._stop.urgent

    def _failures(self) -> int:
        return self._crowd.went_well.count(False)

    def _start_failures(self) -> Stop | None:
        params = self._params
        return stop_rules.start_failures(
            self._crowd.went_well, params.start_failures, params.start_failures_of
        )

    async def _bury(self) -> None:
        """Take those away that died meanwhile: each counts as a failed start."""
        if await self._crowd.bury():
            self._end_by(self._start_failures())


def rails_of(params: Any, gauge: Gauge) -> Rails:
    """The bounds that a trial's parameters come to on this host."""
    swap = params.swap_in_mib_per_s
    return Rails(
        floor_bytes=round(params.memory_floor_share * gauge.mem_total_bytes),
        pids_reserve=round(params.pids_reserve_share * gauge.pids_max),
        psi_memory_full_percent=params.psi_memory_full_percent,
        swap_in_bytes_per_s=None if swap is None else swap * _MIB,
    )
