"""A pilot: one short trial of each cell on this machine, and what the whole campaign would take.

Nothing of it is kept but what engines need anyway, such as the built image.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from contract.campaign import Campaign
from contract.errors import TrialCancelled
from contract.parts import PackedPart, read_part
from orchestrator.cli.durations import in_words, size_in_words
from orchestrator.cli.execution import EXIT_INTERRUPTED, Interrupts
from orchestrator.cli.holding import holding
from orchestrator.cli.options import counted
from orchestrator.cli.reckoning import Estimate, Tried, add_cell, shortened, work_of
from orchestrator.plan import Cell, plan_trials

if TYPE_CHECKING:
    from workers.settings import HostSettings

BUDGET_S = 30.0
"""No further trial is begun after this long, and the running one is abandoned."""


def estimate_here(
    campaign: Campaign, cells: Sequence[Cell], host: "HostSettings", absent: Mapping[str, str]
) -> Estimate:
    """Run the pilot on this machine, for ``BUDGET_S`` at most, and reckon the campaign on one host.

    ``absent`` are drivers that cannot be used here, with the reason. Raises HostBusy. When
    somebody ends it, the command ends, after what the running trial had made is removed.
    """
    begun = time.monotonic()
    found = Estimate()
    interrupts = Interrupts(advice="ending the pilot")

    def over() -> bool:
        return interrupts.count > 0 or time.monotonic() - begun > BUDGET_S

    with holding(host, cells, f"a pilot of '{campaign.campaign}'"), interrupts.counted():
        for cell in _in_turn(cells):
            reason = absent.get(cell.driver) or _why_not(cell)
            if not reason and over():
                if _is_known(cell, found):
                    continue
                reason = f"not reached within the pilot's {BUDGET_S:.0f} s"
            reason = reason or _try(campaign, cell, host, over, found.tried)
            if reason:
                found.untried[name_of(cell)] = reason
    if interrupts.count:
        raise typer.Exit(EXIT_INTERRUPTED)
    found.pilot_s = time.monotonic() - begun
    for cell in cells:
        add_cell(found, cell, campaign.blocks)
    return found


def _in_turn(cells: Sequence[Cell]) -> list[Cell]:
    """First one cell of every experiment and driver, then the others while there is time."""
    firsts: dict[tuple[str, str, str], Cell] = {}
    for cell in cells:
        firsts.setdefault((cell.experiment, cell.driver, cell.profile), cell)
    return [*firsts.values(), *(cell for cell in cells if cell not in firsts.values())]


def _is_known(cell: Cell, found: Estimate) -> bool:
    """Whether one of the same name has told something already, be it why it tells nothing."""
    return name_of(cell) in {*found.untried, *(name_of(tried.cell) for tried in found.tried)}


def _why_not(cell: Cell) -> str | None:
    return "all hosts measure it together" if cell.together else None


def _try(
    campaign: Campaign,
    cell: Cell,
    host: "HostSettings",
    over: Callable[[], bool],
    tried: list[Tried],
) -> str | None:
    """One short trial. Why it told nothing, or None when what it took was added to ``tried``."""
    import uuid

    from workers.run import Assignment, run_trial

    short = shortened(cell)
    (trial,) = plan_trials(campaign.model_copy(update={"blocks": 1}), (short,), [host.name])
    _say_now(f"pilot: {name_of(cell)} …")
    begun = time.monotonic()

    try:
        packed = run_trial(Assignment(trial, 1, host, uuid.uuid4().hex, cancelled=over))
    except TrialCancelled:
        return f"not through within the pilot's {BUDGET_S:.0f} s"
    wall_s = time.monotonic() - begun
    if packed.receipt.outcome not in ("completed", "partial"):
        return read_part(packed.data).record.error_text or packed.receipt.outcome
    tried.append(_tried(short, wall_s, packed))
    _say_now(f"pilot: {name_of(cell)}: {in_words(wall_s)}\n")
    return None


def _tried(short: Cell, wall_s: float, packed: PackedPart) -> Tried:
    """Of virtual time nothing is waited for, so all of it is fixed."""
    part = read_part(packed.data)
    rows = part.tables["instances"].to_pylist() if "instances" in part.tables else []
    stamps = [
        value
        for row in rows
        for key, value in row.items()
        if key.startswith("t_") and value is not None and not part.record.virtual
    ]
    work_s = min(wall_s, (max(stamps) - min(stamps)) / 1e9) if stamps else 0.0
    return Tried(short, wall_s - work_s, work_s, work_of(short), len(rows), len(packed.data))


def name_of(cell: Cell) -> str:
    """``lifecycle docker``, with its profile where it has one."""
    who = cell.driver if cell.profile == "default" else f"{cell.driver}/{cell.profile}"
    return f"{cell.experiment} {who}"


def say_estimate(found: Estimate) -> None:
    """What a person wants to know, and how it was reckoned."""
    if found.tried:
        about = f"about {in_words(found.duration_s)} and {size_in_words(found.size_bytes)} of results"
        which = (
            f"{counted(found.tried_trials, 'trial')} of it"
            if found.untried_trials
            else "the whole of it"
        )
        typer.echo(f"{which}: {about}, on one host")
        typer.echo(
            f"  reckoned from {counted(len(found.tried), 'short trial')} in {in_words(found.pilot_s)}: "
            "what begins and ends a trial as it was, its work in proportion"
        )
    for reason, names in _by_reason(found).items():
        typer.echo(f"  not tried: {', '.join(names)}: {reason}")
    if found.untried_trials:
        typer.echo(
            f"  of {found.untried_trials} trials nothing is known: at most {in_words(found.at_most_s)}, "
            "by their deadlines"
        )


def _by_reason(found: Estimate) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in found.untried.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _say_now(text: str) -> None:
    """Progress, on a terminal as one line that changes."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text.endswith("\n"):
        sys.stderr.write(text)
    sys.stderr.flush()
