"""What was worked out of a dataset and may be asked for again, within bounds of memory."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

MOST_BYTES = 400_000_000


class Sized(Protocol):
    """Something that knows what it takes."""

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""


T = TypeVar("T", bound=Sized)


class Kept(Generic[T]):
    """Things by key. Those that were not asked for longest go first when all together get too large."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._things: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        """One of them; None where it is not, or no more, among them."""
        if key in self._things:
            self._things.move_to_end(key)
        return self._things.get(key)

    def put(self, key: Hashable, thing: T) -> None:
        """Keep one more."""
        self._things[key] = thing
        self._things.move_to_end(key)
        while len(self._things) > 1 and self._size_bytes > self._most_bytes:
            self._things.popitem(last=False)

    @property
    def _size_bytes(self) -> int:
        return sum(thing.size_bytes for thing in self._things.values())
