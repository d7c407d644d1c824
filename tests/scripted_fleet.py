"""A fleet that does as a test's script says, on a clock that moves when somebody waits."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from trials import make_part

from contract.errors import BrokerError
from contract.trial import Receipt, Trial
from orchestrator.dispatch import Delivery, Dispatcher, HostState, Loss, Order

HOSTS = ("h1", "h2", "h3")


class Clock:
    """Stands in for the ``time`` module of the loop: moves when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def time_ns(self) -> int:
        return round(self.now_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class Fleet(Dispatcher):
    """Hosts, of which ``h3`` comes late.

    An order's ``fate``: 'well', 'lost' (with its worker), 'unbegun' (the message), 'refused', 'twice',
    or an outcome.
    """

    clock: Clock
    window: int = 2
    fate: Callable[[Order], str] = lambda _: "well"
    is_alive: Callable[[str, float], bool] = lambda _host, _now: True
    broker_is_away: Callable[[float], bool] = lambda _: False
    sent: list[Order] = field(default_factory=list)
    confirmed: list[Delivery] = field(default_factory=list)
    cancelled: bool = False
    cancels: Callable[[float], bool] = lambda _: False
    quarantined: dict[str, str] = field(default_factory=dict)
    most_in_flight: Counter[str] = field(default_factory=Counter)
    incoming: deque[Delivery] = field(default_factory=deque)
    _in_flight: Counter[str] = field(default_factory=Counter)
    _lost: list[Order] = field(default_factory=list)
    _began_s: float = 0.0

    def __post_init__(self) -> None:
        self._began_s = self.clock.now_s

    @property
    def passed_s(self) -> float:
        return self.clock.now_s - self._began_s

    def send(self, order: Order) -> None:
        self._reach_broker()
        host = order.trial.host
        self.sent.append(order)
        self._in_flight[host] += 1
        self.most_in_flight[host] = max(self.most_in_flight[host], self._in_flight[host])
        fate = self.fate(order)
        if not self.is_alive(host, self.passed_s) or fate in ("lost", "unbegun", "refused"):
            self._lost.append(order)
            return
        outcome = fate if fate in ("failed", "partial") else "completed"
        delivery = delivery_of(order.trial, order.attempt, outcome)
        self.incoming.extend([delivery] * (2 if fate == "twice" else 1))

    def receive(self, wait_s: float) -> list[Delivery]:
        self._reach_broker()
        self.clock.sleep(wait_s)
        came = [self.incoming.popleft() for _ in range(min(3, len(self.incoming)))]
        self._in_flight.subtract(delivery.receipt.host for delivery in came)
        return came

    def confirm(self, deliveries: list[Delivery]) -> None:
        self.confirmed += deliveries

    def hosts(self) -> dict[str, HostState]:
        return {name: HostState(self.is_alive(name, self.passed_s)) for name in HOSTS}

    def lost(self, orders: list[Order]) -> list[Loss]:
        gone = [order for order in orders if order in self._lost]
        for order in gone:
            self._lost.remove(order)
            self._in_flight[order.trial.host] -= 1
        fates = [(order, self.fate(order)) for order in gone]
        return [Loss(o, fate == "lost", "too old" if fate == "refused" else "") for o, fate in fates]

    def attend(self) -> bool:
        self._reach_broker()
        return self.cancels(self.passed_s)

    def quarantine(self, host: str, why: str) -> None:
        self.quarantined[host] = why

    def cancel(self) -> None:
        self._reach_broker()
        self.cancelled = True

    def _reach_broker(self) -> None:
        if self.broker_is_away(self.passed_s):
            self.clock.sleep(1)
            raise BrokerError("broker away")


@dataclass
class Watcher:
    """Counts what the observer is told."""

    total: int = 0
    done: int = 0
    notes: list[str] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def begin(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def received(self, trial: Trial, receipt: Receipt) -> None:
        assert trial.trial_id == receipt.trial_id
        self.ended.append((trial.trial_id, receipt.outcome))

    def hosts(self, states: dict[str, HostState]) -> None:
        assert set(states) <= set(HOSTS)

    def joined(self, total: int, done: int) -> None:
        self.total += total
        self.done += done

    def note(self, text: str) -> None:
        self.notes.append(text)


def delivery_of(trial: Trial, attempt: int = 1, outcome: str = "completed") -> Delivery:
    packed = make_part(trial, attempt=attempt, outcome=outcome)
    return Delivery(packed.receipt, packed.data)
