"""What can be asked of an engine about an instance that runs, and how each engine goes about it.

Native: the engine, or the kernel where there is no engine, has a call that does it. Emulated: we compose
it of other calls. None: it cannot be had. Like drivers, verbs never take a time.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from contract.campaign import Limits
from contract.errors import EngineError
from contract.verbs import OPERATIONS, Verb
from workers.console import Console

if TYPE_CHECKING:
    from workers.drivers.base import Driver, Instance

__all__ = ["OPERATIONS", "Renewed", "Support", "Verb", "Verbs", "emulated", "native", "none"]


@dataclass(frozen=True, slots=True)
class Support:
    """Whether and how an engine has a verb."""

    kind: Literal["native", "emulated", "none"]
    how: str
    """The call or calls; of none, why."""


def native(how: str) -> Support:
    """The engine does it."""
    return Support("native", how)


def emulated(how: str) -> Support:
    """We put it together."""
    return Support("emulated", how)


def none(why: str) -> Support:
    """It cannot be had."""
    return Support("none", why)


@dataclass(frozen=True, slots=True)
class Renewed:
    """What stands for an instance after a verb that gave it another life."""

    instance: "Instance"
    console: Console | None
    """None: the one there was goes on."""


class Verbs:
    """What every driver has by itself; engines that can do more say so in a class derived from this.

    Every method is bounded by the driver's deadline and may raise EngineError. Only verbs whose support
    is not ``none`` are asked for. What a verb makes carries the owner's labels, and the driver's
    ``leftovers`` finds it.
    """

    def __init__(self, driver: "Driver[Any]") -> None:
        self._driver = driver

    async def supports(self, image: str, limits: Limits) -> dict[Verb, Support]:
        """Every verb, for instances of this image with these limits."""
        nothing = none(f"Tonnage drives no call of {self._driver.name} for it")
        return dict.fromkeys(Verb, nothing) | {
            Verb.STOP: native("stop of the driver"),
            Verb.START: native("start of the driver"),
            Verb.RESTART: emulated("stop, then start"),
            Verb.LIST: native("list of the driver's records"),
            Verb.UPDATE: emulated("one after another: create, start, first reply, remove"),
        }

    async def exec(self, instance: "Instance", word: str) -> str:
        """Run ``echo word`` in the instance, beside what runs there. Returns its output."""
        raise self._lacks(Verb.EXEC)

    async def logs(self, instance: "Instance") -> str:
        """The last lines that the engine has kept of the instance's output."""
        raise self._lacks(Verb.LOGS)

    async def pause(self, instance: "Instance") -> None:
        """Freeze it."""
        raise self._lacks(Verb.PAUSE)

    async def resume(self, instance: "Instance") -> None:
        """Let it go on."""
        raise self._lacks(Verb.RESUME)

    async def restart(self, instance: "Instance", *, graceful: bool) -> None:
        """End it and start it again, by one call. Its console is to be taken anew."""
        raise self._lacks(Verb.RESTART)

    async def save(self, verb: Verb, instance: "Instance", name: str) -> None:
        """Take a snapshot, or a checkpoint."""
        raise self._lacks(verb)

    async def saved(self, verb: Verb, instance: "Instance") -> list[str]:
        """Names of its snapshots, or checkpoints, that the engine lists."""
        raise self._lacks(verb)

    async def bring_back(self, verb: Verb, instance: "Instance", name: str) -> Renewed:
        """Make the instance what it was when ``verb`` took ``name``."""
        raise self._lacks(verb)

    async def forget(self, verb: Verb, instance: "Instance", name: str) -> None:
        """Remove a snapshot or checkpoint. One that is gone already is no error."""

    async def limit_cpus(self, instance: "Instance", cpus: float) -> None:
        """Let it use so many CPU seconds per second from now on."""
        raise self._lacks(Verb.CPU_LESS)

    async def cpus(self, instance: "Instance") -> float | None:
        """The limit as the kernel has it now; None: there is none to be seen."""
        raise self._lacks(Verb.CPU_LESS)

    async def limit_memory(self, instance: "Instance", memory_mib: int) -> None:
        """Let it use so much memory from now on."""
        raise self._lacks(Verb.MEMORY_LESS)

    async def memory_mib(self, instance: "Instance") -> int | None:
        """The limit as it is seen now; None: there is none to be seen."""
        raise self._lacks(Verb.MEMORY_LESS)

    async def rename(self, instance: "Instance", name: str) -> Renewed:
        """Give it another name, and its handle too."""
        raise self._lacks(Verb.RENAME)

    async def knows(self, instance: "Instance", name: str) -> bool:
        """Whether the engine finds this very instance by that name."""
        raise self._lacks(Verb.RENAME)

    async def names(self) -> list[str]:
        """Names of all instances of ours on this host, as the engine lists them."""
        there = await self._driver.leftovers(self._driver.host.name)
        return [leftover.name for leftover in there]

    def _lacks(self, verb: Verb) -> EngineError:
        return EngineError(f"{self._driver.name} has no '{verb}'")
