"""The tables that every experiment on instances shares: outcomes, latencies, reasons."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells import Cell, Cells
from analysis.distributions import Distribution, Reduction, Stage
from analysis.scopes import FLEET, Scope
from analysis.section import Field
from analysis.statistics.proportions import estimate_rate, estimate_share
from analysis.statistics.quantiles import estimate_quantile

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

SCOPE_FIELDS = (
    Field(
        "scope", "string", "'fleet': all hosts together; 'class': hosts of one class; 'host': one host"
    ),
    Field("host_class", "string", "class of the hosts; missing for the fleet"),
    Field("host", "string", "host name; missing for more than one"),
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("driver", "string", "driver"),
    Field("profile", "string", "profile of the driver"),
    Field("params", "string", "parameters that are conditions, canonical JSON"),
    Field("image", "string", "image of the instances"),
    Field("limits", "string", "limits of every instance, canonical JSON"),
    Field("emulated", "boolean", "instances ran on an emulated CPU"),
    Field("virtual", "boolean", "time was simulated: nothing is real"),
    Field(
        "evidence", "string", "verdicts of the trials behind the row: valid, suspect, both, or failed"
    ),
)

OUTCOME_FIELDS = (
    *SCOPE_FIELDS,
    Field("trials", "Int64", "trials behind the row"),
    Field("blocks", "Int64", "blocks behind the row, over all hosts"),
    Field("planned", "Int64", "measured instances planned in all gathered trials of the cell"),
    Field("attempted", "Int64", "instances attempted in the trials behind the row"),
    Field("ok", "Int64", "attempts that became ready and were removed cleanly"),
    Field("failed", "Int64", "attempts that did not"),
    Field("failed_share", "Float64", "failed / attempted"),
    Field("failed_share_low", "Float64", "lower end of its 95 % Wilson interval at the effective n"),
    Field("failed_share_high", "Float64", "upper end of it"),
    Field("skipped", "Int64", "planned instances that were never attempted"),
    Field("lost", "Int64", "planned instances of which nothing is known"),
    Field("set_aside", "Int64", "attempted instances of trials that are not believed"),
    Field("rate_per_s", "Float64", "instances made ready per second, first intent to last ready"),
    Field("rate_per_s_low", "Float64", "lower end of its 95 % interval over blocks"),
    Field("rate_per_s_high", "Float64", "upper end of it"),
)

LATENCY_FIELDS = (
    *SCOPE_FIELDS,
    Field("metric", "string", "stage of an instance's life"),
    Field("basis", "string", "'all attempts': failures count as infinite; 'successful': without them"),
    Field("n", "Int64", "values"),
    Field("unreached", "Int64", "of them infinite: attempts that never got there"),
    *(
        field
        for name in QUANTILES
        for field in (
            Field(f"{name}_ns", "Float64", "quantile, ns; inf when it lies among the failures"),
            Field(f"{name}_low_ns", "Float64", "lower end of its 95 % interval, ns"),
            Field(f"{name}_high_ns", "Float64", "upper end of it, ns"),
            Field(f"{name}_n_eff", "Float64", "effective number of independent values for it"),
        )
    ),
)

REASON_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("outcome", "string", "failed, timeout, censored, skipped or lost"),
    Field("error_class", "string", "short name of the cause"),
    Field("instances", "Int64", "instances that ended so"),
    Field("hosts", "Int64", "hosts on which it happened"),
    Field("not_counted", "Int64", "of them, those that are no attempts or belong to trials set aside"),
    Field("example", "string", "one of them in words"),
)


WHERE = ("scope", "host_class", "host")
"""Columns of ``SCOPE_FIELDS`` that say on which hosts; the others tell the cell."""
CELL_FIELDS = tuple(field for field in SCOPE_FIELDS if field.name not in WHERE)


def scopes(cells: Cells, cell: Cell) -> list[Scope]:
    """The fleet, classes of hosts where there are several, and hosts that have trials of the cell."""
    return [scope for scope in cells.scopes if (cell.index, scope) in cells.evidence]


def describe(cells: Cells, cell: Cell, scope: Scope) -> dict[str, Any]:
    """The columns of ``SCOPE_FIELDS``."""
    return {
        "scope": scope.kind,
        "host_class": scope.host_class,
        "host": scope.host,
        "variant": cell.variant,
        "conditions": cells.condition(cell),
        "driver": cell.driver,
        "profile": cell.profile,
        "params": cell.params,
        "image": cell.image,
        "limits": cell.limits,
        "emulated": cell.emulated,
        "virtual": cell.virtual,
        "evidence": cells.evidence[cell.index, scope],
    }


def latency_rows(reduction: Reduction, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Quantiles of every stage in every cell and scope."""
    cells = reduction.cells
    found: list[dict[str, Any]] = []
    reduction.expect(stages)
    for stage in stages:
        distribution = reduction.distribution(stage)
        for cell in cells.cells:
            for scope in scopes(cells, cell):
                row = _quantiles(distribution, cell.index, scope)
                if row:
                    named = {"metric": stage.name, "basis": stage.basis}
                    found.append(describe(cells, cell, scope) | named | row)
    return found


def _quantiles(distribution: Distribution, cell: int, scope: Scope) -> dict[str, Any]:
    sample = distribution.sample(cell, scope)
    if not sample.n:
        return {}
    unreached = int(sample.counts[np.isinf(sample.values)].sum())
    row: dict[str, Any] = {"n": sample.n, "unreached": unreached}
    for name, p in QUANTILES.items():
        found = estimate_quantile(sample, p)
        row[f"{name}_ns"], row[f"{name}_n_eff"] = found.value, found.n_eff
        row[f"{name}_low_ns"], row[f"{name}_high_ns"] = found.low, found.high
    return row


def outcome_rows(reduction: Reduction) -> list[dict[str, Any]]:
    """How attempts ended in every cell and scope."""
    cells = reduction.cells
    counted: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for row in reduction.counts():
        counted[row["cell"], row["host"]].append(row)
    everybody = range(len(cells.hosts))
    found = []
    for cell in cells.cells:
        for scope in scopes(cells, cell):
            codes = everybody if scope.codes is None else sorted(scope.codes)
            here = [row for code in codes for row in counted.get((cell.index, code), ())]
            found.append(describe(cells, cell, scope) | _outcomes(cells, cell, scope, here))
    return found


def _outcomes(cells: Cells, cell: Cell, scope: Scope, here: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {host: cells.counts(cell.index, scope, host) for host in {row["host"] for row in here}}
    timed = [row for row in here if row["role"] != "set aside" and counts[row["host"]]]
    column = {
        name: np.array([row[name] for row in timed], dtype=np.float64)
        for name in ("attempted", "ok", "host", "ready", "span_ns", "trials")
    }
    failed = column["attempted"] - column["ok"]
    share = estimate_share(failed, column["attempted"], column["host"])
    timing = column["ready"] > 0
    rate = estimate_rate(column["ready"][timing], column["span_ns"][timing] / 1e9)
    attempted_in_all = sum(row["attempted"] for row in here)
    return {
        "trials": int(column["trials"].sum()),
        "blocks": len({(row["host"], row["block"]) for row in timed}),
        "planned": sum(row["planned"] for row in here),
        "attempted": int(column["attempted"].sum()),
        "ok": int(column["ok"].sum()),
        "failed": int(failed.sum()),
        "failed_share": share.value,
        "failed_share_low": share.low,
        "failed_share_high": share.high,
        "skipped": sum(row["skipped"] for row in here),
        "lost": sum(row["lost"] for row in here),
        "set_aside": attempted_in_all - int(column["attempted"].sum()),
        "rate_per_s": rate.value,
        "rate_per_s_low": rate.low,
        "rate_per_s_high": rate.high,
    }


def reason_rows(reduction: Reduction) -> list[dict[str, Any]]:
    """Why instances did not end well."""
    cells = reduction.cells
    return [
        row | {"variant": cell.variant, "conditions": cells.condition(cell)}
        for row in reduction.reasons()
        for cell in [cells.cells[row["cell"]]]
    ]


CURVE_POINTS = 200
CURVE_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("evidence", "string", "verdicts of the trials behind the curve, as in the other tables"),
    Field("share", "Float64", "share of attempts that were ready within value_ns"),
    Field("value_ns", "Float64", "time from planned start to ready, ns"),
)


def curve_rows(reduction: Reduction, stage: Stage) -> list[dict[str, Any]]:
    """Points of the distribution curve of a stage in every cell: at most ``CURVE_POINTS`` each.

    Failures are not among the points: a curve that ends below 1 shows their share.
    """
    distribution = reduction.distribution(stage)
    found = []
    for cell in reduction.cells.cells:
        sample = distribution.sample(cell.index)
        reached = int(sample.counts[np.isfinite(sample.values)].sum())
        ranks = np.unique(np.linspace(1, max(reached, 1), CURVE_POINTS).round().astype(int))
        named = {
            "variant": cell.variant,
            "conditions": reduction.cells.condition(cell),
            "evidence": reduction.cells.evidence.get((cell.index, FLEET)),
        }
        found += [
            named | {"share": rank / sample.n, "value_ns": sample.at_rank(int(rank))}
            for rank in ranks
            if reached
        ]
    return found
