"""From a situation to a plan: hosts with their spread, what binds, and what it would take otherwise."""

from dataclasses import replace

import numpy as np

from analysis import quantities
from analysis.capacity import model
from analysis.capacity.answer import Constraint, Need, Plan, Recovery
from analysis.capacity.cautions import cautions_of
from analysis.capacity.infeasible import why_not
from analysis.capacity.influences import influences_of, what_ifs_of
from analysis.capacity.model import Inputs
from analysis.capacity.situation import (
    Pick,
    Situation,
    amounts_at_point,
    amounts_in_draws,
    inputs_of,
)
from analysis.statistics.blocks import Floats

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}
MOST_DOMAINS_SHOWN = 100
_STEPS = {
    "demand": "for the demand alone",
    "domains": "so that enough are left when domains are lost",
    "failures": "so that enough are up though single hosts fail",
    "RTO": "so that what is lost is back within the RTO",
}


def plan(now: Situation, pick: Pick) -> Plan:
    """The plan for one situation."""
    rules, evidence = now.rules, now.evidence
    point, drawn = (
        inputs_of(now, amounts) for amounts in (amounts_at_point(now), amounts_in_draws(now, pick))
    )
    hosts = model.hosts_of(drawn, rules)
    recommended = model.quantile(hosts, now.demand.confidence)
    least = float(model.density(point, rules)[0])
    within = replace(now, most=float(evidence.peak))
    held = model.hosts_of(inputs_of(within, amounts_in_draws(within, pick)), rules)
    constraints = constraints_of(now, point, drawn)
    density = int(least) if np.isfinite(least) else evidence.peak
    return Plan(
        shape=now.shape.name,
        variant=evidence.variant,
        host_class=now.host.name,
        basis=now.basis,
        emulated=evidence.emulated,
        virtual=evidence.virtual,
        per_instance={n: float(use.each[0]) for n, use in point.uses.items()},
        usable={n: float(use.capacity[0] - use.base[0]) for n, use in point.uses.items()},
        constraints=constraints,
        density=density,
        density_measured=min(density, evidence.peak),
        instances=float(point.demand[0]),
        hosts={name: model.quantile(hosts, p) for name, p in QUANTILES.items()},
        hosts_measured=model.quantile(held, now.demand.confidence),
        recommended=recommended,
        spread=_spread(now, recommended),
        needs=_needs(now, model.hosts_by_step(point, rules)),
        draws=hosts,
        recovery=recovery_of(now, point, recommended),
        influences=influences_of(now, pick),
        what_ifs=what_ifs_of(now, pick),
        price_per_host=now.host.price,
        infeasible=why_not(now, point, recommended),
        warnings=cautions_of(now, density, hosts, constraints[0] if constraints else None),
        checks=evidence.checks,
    )


def constraints_of(now: Situation, point: Inputs, drawn: Inputs) -> tuple[Constraint, ...]:
    """Everything that bounds the instances on a host, the tightest first."""
    rules, peak = now.rules, now.evidence.peak
    of_draws = model.densities(drawn, rules)
    censored = {cap.name for cap in now.evidence.caps if cap.at_least}
    found = []
    for name, value in model.densities(point, rules).items():
        low, high = _ends(of_draws[name])
        one = float(value[0])
        found.append(Constraint(name, one, min(low, one), max(high, one), one > peak, name in censored))
    return tuple(sorted(found, key=lambda c: (c.density, c.name)))


def _ends(draws: Floats) -> tuple[float, float]:
    ranked = np.sort(draws)
    last = ranked.size - 1
    return float(ranked[round(0.025 * last)]), float(ranked[round(0.975 * last)])


def _spread(now: Situation, hosts: float) -> tuple[int, ...]:
    domains, layout = now.demand.domains, now.rules.layout
    if domains is None or layout is None or not np.isfinite(hosts):
        return ()
    return layout.spread(int(hosts)) if domains.number <= MOST_DOMAINS_SHOWN else ()


def _needs(now: Situation, steps: dict[str, Floats]) -> tuple[Need, ...]:
    """The steps that were asked for."""
    asked = {
        "demand": True,
        "domains": now.rules.domains is not None,
        "failures": now.rules.failures is not None,
        "RTO": True,
    }
    return tuple(Need(s, float(hosts[0]), _STEPS[s]) for s, hosts in steps.items() if asked[s])


def recovery_of(now: Situation, point: Inputs, hosts: float) -> Recovery | None:
    """How long a loss lasts with the recommended hosts; None without an RTO."""
    layout, rto = now.rules.layout, now.demand.rto
    if rto is None or layout is None:
        return None
    restart = point.restart
    if restart is None:
        return Recovery(None, None, None, None, None, rto, None, "not known")
    detect, ready = float(restart.detect_s[0]), float(restart.ready_s[0])
    if not np.isfinite(hosts):
        return Recovery(detect, None, ready, None, None, rto, False, "no number of hosts will do")
    of = np.array([hosts])
    total = float(model.restore_s(point, layout, of)[0])
    left = max(1.0, hosts - float(layout.lost(of)[0]))
    image = max(float(restart.image_link_s[0]), left * float(restart.image_registry_s[0]))
    starts = total - detect - ready - image
    words = (
        f"noticed within {_time(detect)}, started again in {_time(starts)}, the last ones ready within "
        f"{_time(ready)}" + (f", the image there within {_time(image)}" if image else "")
    )
    return Recovery(detect, starts, ready, image, total, rto, total <= rto, words)


def _time(seconds: float) -> str:
    return quantities.duration(seconds * 1e9)
