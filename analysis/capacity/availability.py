"""How often instances and hosts are there: from times between failures and times to recover."""

import math
from dataclasses import dataclass

from scipy import special

from contract.errors import UseError

MINUTES_PER_30_DAYS = 43_200.0
_MOST_HOSTS = 10_000_000


@dataclass(frozen=True, slots=True)
class DomainLoss:
    """What takes a whole failure domain at once, besides failures of single instances."""

    domains: int
    unavailable: float
    """Share of time for which one domain is gone."""


def availability(mtbf_s: float, restored_s: float) -> float:
    """Share of time for which one instance is there: MTBF/(MTBF + mean time to restore).

    ``restored_s`` is best a restricted mean (`analysis.statistics.survival.restricted_mean`): it counts
    recoveries that were not seen to end up to the horizon only, so that what never came back counts too
    little. MTBF is the mean time from being there to the next failure (Trivedi, Probability and
    Statistics with Reliability, Queuing and Computer Science Applications, 2002, §6.6). Raises UseError
    below 0.
    """
    if not (0 < mtbf_s < math.inf and 0 <= restored_s < math.inf):
        raise UseError("availability needs an MTBF above 0 and a time to restore of 0 or more")
    return mtbf_s / (mtbf_s + restored_s)


def available_of(needed: int, total: int, each: float) -> float:
    """P(at least ``needed`` of ``total`` are there), each for itself with probability ``each``.

    The binomial tail, as a regularised incomplete beta function: exact far into the tail.
    """
    _check_share(each)
    if needed <= 0:
        return 1.0
    if needed > total:
        return 0.0
    return float(special.betainc(needed, total - needed + 1, each))


def unavailable_of(needed: int, total: int, each: float) -> float:
    """1 − `available_of`, with its small numbers kept."""
    _check_share(each)
    if needed <= 0:
        return 0.0
    if needed > total:
        return 1.0
    return float(special.betaincc(needed, total - needed + 1, each))


def service_availability(
    needed: int, total: int, each: float, common: DomainLoss | None = None
) -> float:
    """Share of time for which a service has the ``needed`` instances of the ``total`` that run.

    With ``common``, domains are lost as wholes, each for itself. The instances lie evenly over them;
    while some are gone only the instances of the others count, and the fullest are taken to be gone.
    That is the binomial mixture of common-cause analysis (NUREG/CR-4780, 1988), with domains as groups.
    What is lost with a domain is not started again elsewhere here.
    """
    if common is None:
        return available_of(needed, total, each)
    _check_share(common.unavailable)
    there, found = 1 - common.unavailable, 0.0
    for gone in range(common.domains + 1):
        chance = float(
            special.comb(common.domains, gone)
            * common.unavailable**gone
            * there ** (common.domains - gone)
        )
        left = total - fullest(total, common.domains, gone)
        found += chance * available_of(needed, left, each)
    return min(1.0, found)


def fullest(total: int, domains: int, k: int) -> int:
    """What the k fullest of domains hold that share ``total`` evenly."""
    each, more = divmod(total, domains)
    return k * each + min(k, more)


def hosts_for(needed: int, each: float, target: float) -> int:
    """Fewest hosts of which ``needed`` are there with probability ``target``, each failing by itself.

    Raises UseError where the target is not between 0 and 1, or no number of hosts reaches it.
    """
    _check_share(each)
    if not 0 < target < 1:
        raise UseError(f"a target is a share between 0 and 1, not {target:g}")
    if needed <= 0:
        return 0
    low, high = needed - 1, needed
    while unavailable_of(needed, high, each) > (1 - target) * (1 + 1e-12):
        low, high = high, high * 2
        if high > _MOST_HOSTS or each == 0:
            raise UseError(
                f"no number of hosts that are there {each:.3g} of the time reaches {target:g}"
            )
    while high - low > 1:
        middle = (low + high) // 2
        good = unavailable_of(needed, middle, each) <= (1 - target) * (1 + 1e-12)
        low, high = (low, middle) if good else (middle, high)
    return high


def hosts_after_loss(needed: int, domains: int, lost: int) -> int:
    """Fewest hosts, spread evenly over domains, of which ``needed`` outlast the ``lost`` fullest.

    Raises UseError where all domains would be lost.
    """
    if not 0 <= lost < domains:
        raise UseError(f"of {domains} failure domains 0 to {domains - 1} can be lost, not {lost}")
    total = -(-needed * domains // (domains - lost))
    while total - fullest(total, domains, lost) < needed:
        total += 1
    while total and (total - 1) - fullest(total - 1, domains, lost) >= needed:
        total -= 1
    return total


def error_budget_minutes(share: float) -> float:
    """Minutes of 30 days for which something is not there that is there this share of the time."""
    _check_share(share)
    return (1 - share) * MINUTES_PER_30_DAYS


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise UseError(f"a share of time lies between 0 and 1, not {share:g}")
