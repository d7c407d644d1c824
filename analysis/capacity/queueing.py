"""How many instances a service needs so that its requests do not wait too long.

Requests arrive at random (Poisson) and every instance serves one at a time: the model M/M/c of Erlang
(Solution of some problems in the theory of probabilities of significance in automatic telephone
exchanges, 1917; Gross & Harris, Fundamentals of Queueing Theory, 1998, §2.3). Real services have more
that delays them, so that its answer is a floor.
"""

import math
from dataclasses import dataclass

from contract.errors import UseError

_MOST_SERVERS = 10_000_000


@dataclass(frozen=True, slots=True)
class Service:
    """Requests and the time that one instance needs for each."""

    arrivals_per_s: float
    service_time_s: float
    """Mean time of one request on one instance."""
    arrival_cv: float = 1.0
    """Coefficient of variation of the times between arrivals; 1 for arrivals at random."""
    service_cv: float = 1.0
    """Coefficient of variation of the service time; 0 where all are alike, 1 where exponential."""

    def __post_init__(self) -> None:
        positive = 0 < self.service_time_s < math.inf and 0 <= self.arrivals_per_s < math.inf
        if not positive or not (0 <= self.arrival_cv < math.inf and 0 <= self.service_cv < math.inf):
            raise UseError(
                "a service needs a service time above 0, and rates and variations of 0 or more"
            )

    @property
    def load(self) -> float:
        """Instances that are busy on average: λ·s, in erlangs."""
        return self.arrivals_per_s * self.service_time_s

    @property
    def variability(self) -> float:
        """(Cₐ² + Cₛ²)/2, by which mean waiting exceeds that of M/M/c; exact for M/M/c and for M/G/1.

        Allen, Probability, Statistics, and Queueing Theory, 1990, §5.3.3, after Cunneen.
        """
        return (self.arrival_cv**2 + self.service_cv**2) / 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """What requests wait for before service at a number of instances."""

    instances: int
    utilisation: float
    delayed: float
    """Share of requests that wait at all."""
    mean_s: float
    """Mean time over all requests."""
    late: float
    """Share of requests that wait longer than the limit asked for."""


def erlang_b(servers: int, load: float) -> float:
    """Share of calls that find all servers busy where nobody waits.

    By the recursion B(c) = aB(c−1)/(c + aB(c−1)), which neither overflows nor loses digits (Jagerman,
    Bell System Technical Journal 53, 1974).
    """
    if load <= 0:
        return 0.0 if servers else 1.0
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Share of requests that have to wait; 1 where the servers cannot keep up."""
    return _delayed(servers, load, erlang_b(servers, load))


def _delayed(servers: int, load: float, blocked: float) -> float:
    if load >= servers:
        return 1.0
    return servers * blocked / (servers - load * (1 - blocked))


def waiting(service: Service, instances: int, limit_s: float = 0.0) -> Waiting:
    """Waiting at a number of instances. Where they cannot keep up, it has no end.

    P(W > t) = C·e^(−(cμ−λ)t) is exact for M/M/c. For general service the time scale of the exponential
    is stretched by the same factor as the mean, a usual approximation.
    """
    return _waiting(service, instances, limit_s, erlang_b(instances, service.load))


def _waiting(service: Service, instances: int, limit_s: float, blocked: float) -> Waiting:
    load = service.load
    if load >= instances:
        return Waiting(instances, load / instances if instances else math.inf, 1.0, math.inf, 1.0)
    delayed = _delayed(instances, load, blocked)
    scale_s = service.variability * service.service_time_s / (instances - load)
    if scale_s > 0:
        late = delayed * math.exp(-limit_s / scale_s)
    else:  # neither arrivals nor service vary: nobody waits
        late = delayed = 0.0
    return Waiting(instances, load / instances, delayed, delayed * scale_s, late)


def fewest_instances(service: Service, limit_s: float, quantile: float) -> Waiting:
    """The least number of instances at which a share ``quantile`` of requests waits ``limit_s`` at most.

    Raises UseError where the limit or the quantile make no sense, or more than ten million were needed.
    """
    if not (0 <= limit_s < math.inf and 0 < quantile < 1):
        raise UseError("a limit on waiting needs a time of 0 or more and a quantile between 0 and 1")
    least = max(1, math.floor(service.load) + 1)
    if least > _MOST_SERVERS:
        raise UseError(f"{service.load:g} instances would be busy at once, more than can be planned")
    blocked = erlang_b(least, service.load)
    found = _waiting(service, least, limit_s, blocked)
    while found.late > (1 - quantile) * (1 + 1e-12):  # 1 − 0.99 is not 0.01 to the last digit
        more = found.instances + 1
        blocked = service.load * blocked / (more + service.load * blocked)
        found = _waiting(service, more, limit_s, blocked)
    return found
