"""Waiting and availability as the report and the terminal show them, and as tables."""

import math
from typing import Any

from analysis import quantities
from analysis.capacity.answer import Answer
from analysis.section import Field, ShownTable
from analysis.shown import assemble

FIELDS = {
    "queues": (
        Field("shape", "string", "shape of the demand"),
        Field("arrivals_per_s", "Float64", "requests per second, median, growth included"),
        Field("wait_s", "Float64", "longest time that requests may wait, s"),
        Field("quantile", "Float64", "share of the requests that wait no longer"),
        Field("least", "Int64", "fewest instances that keep it"),
        Field("least_utilisation", "Float64", "share of them that is busy on average"),
        Field("instances", "Int64", "instances of the demand, median, growth included"),
        Field("delayed", "Float64", "share of the requests that wait at all with those"),
        Field("mean_s", "Float64", "mean wait of all requests with those, s; inf: without end"),
        Field("late", "Float64", "share of the requests that wait too long with those"),
    ),
    "availability": (
        Field("shape", "string", "shape of the demand"),
        Field("variant", "string", "what it runs as"),
        Field("instances", "Int64", "instances of the demand, median, growth included"),
        Field("needed", "Int64", "of them must be there"),
        Field("restore_s", "Float64", "mean time until an instance is back, s"),
        Field("restore_low_s", "Float64", "lower end of its 95 % interval"),
        Field("restore_high_s", "Float64", "upper end of it"),
        Field("horizon_s", "Float64", "up to which recoveries count; empty where the time was given"),
        Field("unrecovered", "Float64", "share that was not back by then, and so counts too little"),
        Field("each", "Float64", "share of the time for which one instance is there"),
        Field("each_low", "Float64", "the same with the longest time to restore of the interval"),
        Field("each_high", "Float64", "the same with the shortest"),
        Field("service", "Float64", "share of the time for which enough are there"),
        Field("budget_min", "Float64", "minutes of 30 days for which not enough are there"),
        Field("target", "Float64", "share of the time for which enough must be there"),
        Field("for_target", "Int64", "fewest instances with which it is, failure domains apart"),
    ),
}


def rows_of(answer: Answer) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table of ``FIELDS``."""
    queues = [
        {
            "shape": one.shape,
            "arrivals_per_s": one.arrivals_per_s,
            "wait_s": one.wait_s,
            "quantile": one.quantile,
            "least": one.least.instances,
            "least_utilisation": one.least.utilisation,
            "instances": one.planned.instances,
            "delayed": one.planned.delayed,
            "mean_s": one.planned.mean_s,
            "late": one.planned.late,
        }
        for one in answer.services.queued
    ]
    return {"queues": queues, "availability": [_available_row(one) for one in answer.services.available]}


def _available_row(one: Any) -> dict[str, Any]:
    restored = one.restored
    return {
        "shape": one.shape,
        "variant": one.variant,
        "instances": one.total,
        "needed": one.needed,
        "restore_s": restored and restored.mean_s.value,
        "restore_low_s": restored and restored.mean_s.low,
        "restore_high_s": restored and restored.mean_s.high,
        "horizon_s": restored and restored.horizon_s,
        "unrecovered": restored and restored.unrecovered,
        "each": one.each,
        "each_low": one.low,
        "each_high": one.high,
        "service": one.service,
        "budget_min": one.budget_min,
        "target": one.target,
        "for_target": one.for_target,
    }


def waits(answer: Answer) -> ShownTable | None:
    """Instances that keep requests from waiting too long."""
    body = [
        (
            one.shape,
            quantities.rate(one.arrivals_per_s),
            f"{quantities.share(one.quantile)} within {_time(one.wait_s)}",
            quantities.count(one.least.instances),
            quantities.share(one.least.utilisation),
            quantities.count(one.planned.instances),
            _time(one.planned.mean_s),
            quantities.share(one.planned.late),
        )
        for one in answer.services.queued
    ]
    heads = ("Shape", "Requests", "Objective", "At least", "Busy", "Instances", "Mean wait", "Too late")
    caption = (
        "At least: the fewest instances that keep the objective by Erlang's model, with the factor of "
        "Allen and Cunneen for other variation; a floor, for it knows nothing of what instances take "
        "from each other. Busy, mean wait and too late: of those, and of the instances of the demand."
    )
    return assemble("Waiting for instances", caption, heads, body, "capacity-queues")


def uptimes(answer: Answer) -> ShownTable | None:
    """How often enough instances are there."""
    body = [
        (
            one.shape,
            one.variant,
            f"{quantities.count(one.needed)} of {quantities.count(one.total)}",
            _restored(one.restored),
            _share(one.each),
            _share(one.service),
            quantities.NOT_AVAILABLE if one.budget_min is None else f"{one.budget_min:.3g} min",
            _target(one),
        )
        for one in answer.services.available
    ]
    heads = (
        "Shape",
        "Variant",
        "Needed",
        "Back within",
        "One is there",
        "Enough are there",
        "Lost in 30 days",
        "Target",
    )
    caption = (
        "Back within: mean time to restore as given, or the restricted mean of the slowest recovery "
        "measured. Instances fail independently of each other, and whole domains as 'domain_down' "
        "says. Lost: minutes without enough of them."
    )
    return assemble("Availability", caption, heads, body, "capacity-availability")


def cautions(answer: Answer) -> list[str]:
    """Objectives of waiting and availability that the instances of the demand miss."""
    said = [
        f"Shape {one.shape}: with {quantities.plural(one.planned.instances, 'instance')} "
        f"{quantities.share(one.planned.late)} of the requests wait longer than {_time(one.wait_s)}; "
        f"it takes {quantities.count(one.least.instances)} to keep the objective."
        for one in answer.services.queued
        if one.planned.instances < one.least.instances
    ]
    for one in answer.services.available:
        if one.target is not None and one.service is not None and one.service < one.target:
            more = ""
            if one.for_target is not None and one.for_target > one.total:
                more = f"; failure domains apart, {quantities.count(one.for_target)} would do"
            said.append(
                f"Shape {one.shape} as {one.variant}: enough instances are there {_share(one.service)} "
                f"of the time, below the target of {_share(one.target)}{more}."
            )
    return said


def _target(one: Any) -> str:
    if one.target is None or one.for_target is None:
        return ""
    return f"{_share(one.target)} with {quantities.count(one.for_target)}"


def _restored(found: Any) -> str:
    if found is None:
        return "not known"
    mean = found.mean_s
    text = _time(mean.value)
    if mean.low is not None:
        text += f" ({_time(mean.low)} to {_time(mean.high)})"
    if found.unrecovered:
        text += f", {quantities.share(found.unrecovered)} not back"
    return text


def _share(value: float | None) -> str:
    """A share near 1, with as many digits as it takes to tell it from 1."""
    if value is None:
        return quantities.NOT_AVAILABLE
    if value in (0.0, 1.0):
        return f"{100 * value:.0f} %"
    digits = min(12, max(1, math.ceil(-math.log10(max(1 - value, 1e-14)))))
    return f"{100 * value:.{digits}f} %"


def _time(seconds: float) -> str:
    return "without end" if math.isinf(seconds) else quantities.duration(seconds * 1e9)


ALL = (waits, uptimes)
