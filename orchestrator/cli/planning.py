"""plan: what a campaign comes to, before anything is measured."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.campaigns import CampaignArgument, read_cells
from orchestrator.cli.durations import in_words
from orchestrator.cli.options import BrokerOption, JsonOption, checked_names, counted, takes_host

if TYPE_CHECKING:
    from contract.campaign import Campaign
    from contract.trial import Trial
    from orchestrator.plan import Cell
    from workers.settings import HostSettings

MOST_CELLS = 60
"""Cells that are shown to people."""
MOST_IN_ORDER = 6
MOST_REASONS = 20


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)


@takes_host
def plan(
    campaign: CampaignArgument,
    host: "HostSettings",
    broker: BrokerOption = None,
    for_hosts: Annotated[
        list[str] | None, typer.Option("--host", help="Plan for hosts of this name.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Plan for this machine, and say what cannot run here.")
    ] = False,
    pilot: Annotated[
        bool,
        typer.Option("--pilot", help="Try it here for half a minute, and reckon time and disk."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the cells of a campaign, their order, how long it takes, and what cannot run where."""
    from orchestrator.plan import choose_hosts, plan_trials

    read, cells = read_cells(campaign)
    here = local or pilot
    fleet = _fleet(broker) if broker and not here else {}
    known = {name: entry for name, entry in fleet.items() if entry.alive}
    names = checked_names(for_hosts or [])
    if not names and here:
        names = [host.name]
    elif not names and not broker:
        names = list(read.hosts.names) or ["this-host"]
    trials = plan_trials(read, cells, names or choose_hosts(read, known))
    if as_json:
        typer.echo(json.dumps([t.model_dump(mode="json") | {"trial_id": t.trial_id} for t in trials]))
        return
    for line in (*_matrix(cells), *_totals(read, cells, trials), *_order(read, trials)):
        typer.echo(line)
    absent = _absent(cells, host) if here else {}
    for line in _blocked(trials, fleet, absent):
        typer.echo(line)
    _say_time(read, cells, host if pilot else None, absent)


def _matrix(cells: "Sequence[Cell]") -> Iterator[str]:
    """Cells by experiment: what they share first, then each by what is its own."""
    left = MOST_CELLS
    for experiment, found in groupby(cells, key=lambda cell: cell.experiment):
        group = list(found)
        same, differing = _split(group)
        yield f"{experiment}: {_beside_defaults(experiment, same, group[0].params)}"
        for cell in group[:left]:
            yield f"  {_who(cell):20} {_pairs(differing, cell.params)}".rstrip()
        left = max(0, left - len(group))
    if len(cells) > MOST_CELLS:
        yield f"  … and {len(cells) - MOST_CELLS} more: --json has them all"


def _split(cells: "Sequence[Cell | Trial]") -> tuple[list[str], list[str]]:
    """Names of parameters that are the same in all cells, and of the others."""
    same: list[str] = []
    differing: list[str] = []
    for name, value in cells[0].params.items():
        alike = all(cell.params.get(name) == value for cell in cells)
        (same if alike else differing).append(name)
    return same, differing


def _pairs(names: list[str], params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={params[name]}" for name in names if params[name] is not None)


def _beside_defaults(experiment: str, names: list[str], params: Mapping[str, Any]) -> str:
    """What is the same in all cells, as far as the campaign says so."""
    from workers.discover import build_catalog

    fields = build_catalog().experiments[experiment].params.model_fields
    said = [name for name in names if params[name] != fields[name].get_default()]
    return _pairs(said, params) + "; " * bool(said) + "other parameters at their defaults"


def _who(cell: "Cell | Trial") -> str:
    return cell.driver if cell.profile == "default" else f"{cell.profile} ({cell.driver})"


def _totals(read: "Campaign", cells: "Sequence[Cell]", trials: "Sequence[Trial]") -> Iterator[str]:
    hosts = len({trial.host for trial in trials})
    counts = (counted(len(cells), "cell"), counted(read.blocks, "block"), counted(hosts, "host"))
    yield f"{' × '.join(counts)} = {counted(len(trials), 'trial')}"


def _order(read: "Campaign", trials: "Sequence[Trial]") -> Iterator[str]:
    """The first block of the first host, as an example."""
    host = trials[0].host
    first = [trial for trial in trials if trial.host == host and trial.block == 0]
    if len(first) < 2:
        return
    experiments = {trial.experiment for trial in first}
    own = {name: _split([t for t in first if t.experiment == name])[1] for name in experiments}
    names = [
        f"{t.experiment} {_who(t)} {_pairs(own[t.experiment], t.params)}".rstrip()
        for t in first[:MOST_IN_ORDER]
    ]
    more = ", …" if len(first) > MOST_IN_ORDER else ""
    yield f"order, block 1 on {host}: {', '.join(names)}{more}"
    yield f"  every block on every host is shuffled anew; seed {read.seed} fixes it"


def _absent(cells: "Sequence[Cell]", host: "HostSettings") -> dict[str, str]:
    """Drivers that cannot be used on this machine, with the reason."""
    from workers.presence import probe_engine

    engines = {name: probe_engine(name, host) for name in sorted({cell.driver for cell in cells})}
    return {name: str(facts["reason"]) for name, facts in engines.items() if not facts["present"]}


def _blocked(
    trials: "Sequence[Trial]", fleet: Mapping[str, Any], absent: Mapping[str, str]
) -> Iterator[str]:
    here = {driver: f"{driver}: {why}" for driver, why in absent.items()}
    reasons = Counter(
        reason
        for trial in trials
        for reason in [
            fleet[trial.host].why_not(trial.driver) if trial.host in fleet else here.get(trial.driver)
        ]
        if reason
    )
    ranked = reasons.most_common()
    for reason, count in ranked[:MOST_REASONS]:
        yield f"cannot run: {counted(count, 'trial')}, {reason}"
    if rest := ranked[MOST_REASONS:]:
        trials_left = counted(sum(count for _, count in rest), "trial")
        yield f"cannot run: {trials_left} more, for {counted(len(rest), 'more reason')}"


def _say_time(
    read: "Campaign",
    cells: "Sequence[Cell]",
    host: "HostSettings | None",
    absent: Mapping[str, str],
) -> None:
    """By a pilot on ``host``, else what deadlines allow."""
    if host is not None:
        from orchestrator.cli.pilot import estimate_here, say_estimate

        say_estimate(estimate_here(read, cells, host, absent))
        return
    most_s = read.blocks * sum(cell.deadline_s for cell in cells)
    typer.echo(
        f"time per host: at most {in_words(most_s)}, by the trials' deadlines; "
        "--pilot tries it here and reckons"
    )


def _fleet(broker: str) -> dict[str, Any]:
    from contract.broker import broker_errors, connect
    from orchestrator.fleet import read_fleet

    client = connect(broker)
    with broker_errors(broker):
        return dict(read_fleet(client))
