"""Deliveries that take only virtual time: their truth, and the layer arithmetic of real ones."""

import asyncio
from collections.abc import Callable

from pydantic import Field

from contract.catalog import Settings
from contract.errors import EngineTimeout, ImageError
from workers.engines.delivery import Delivery, Note, Pulled, Pushed
from workers.images.payload import CHANGE_BYTES, MIB, Recipe

MANIFEST_BYTES = 1024
"""Of every simulated manifest."""


class SimulatedDeliveryTruth(Settings):
    """What a simulated network, and a simulated unpacking of images, are like.

    A pull takes ``layer_ms`` for every layer that comes, and its bytes over ``wire_mib_per_s``;
    unpacking takes the layer's content over ``unpack_mib_per_s``. All of it times one factor that is
    drawn per pull (spread ``sigma``), times the trial's.
    """

    wire_mib_per_s: float = Field(100, gt=0, description="speed between registry and host")
    unpack_mib_per_s: float = Field(200, gt=0, description="speed of unpacking, by unpacked size")
    layer_ms: float = Field(5, ge=0, description="median cost of every layer that comes")


def layer_sizes(recipe: Recipe) -> list[tuple[int, int]]:
    """Bytes on the wire and unpacked of every layer, the lowest first; the last one is the change.

    A delta is its base and the change; everything else has the recipe's layers. What is random does not
    compress, what is zero vanishes; a full disk travels with both.
    """
    number = 1 if recipe.form == "delta" else recipe.base_layers
    total = recipe.size_mib * MIB
    share = total // number
    sizes = [share] * (number - 1) + [total - share * (number - 1)]
    base = [(round(size * recipe.entropy), size) for size in sizes]
    if recipe.layers == 1 and recipe.form != "delta":
        wire, size = base[0]
        return [(wire + CHANGE_BYTES, size + CHANGE_BYTES)]
    return [*base, (CHANGE_BYTES, CHANGE_BYTES)]


class SimulatedDelivery(Delivery):
    """A registry and a store of layers that belong to one trial."""

    def __init__(self, truth: SimulatedDeliveryTruth, draw: Callable[[], float]) -> None:
        self._truth = truth
        self._draw = draw
        self._published: dict[str, list[tuple[str, int, int]]] = {}
        self._built: dict[str, list[tuple[str, int, int]]] = {}
        self._images: set[str] = set()

    def reference(self, recipe: Recipe, variant: int) -> str:
        """A name of the shape that real ones have."""
        shape = f"{recipe.size_mib}-{recipe.layers}-{recipe.entropy:g}-{recipe.form}"
        return f"simulated/{shape}:v{variant}"

    async def is_published(self, recipe: Recipe, variant: int) -> bool:
        """Whether this trial has pushed it."""
        return self.reference(recipe, variant) in self._published

    async def build(self, recipe: Recipe, variants: tuple[int, ...]) -> None:
        """Takes no time: it is not what is measured."""
        for variant in variants:
            sizes = layer_sizes(recipe)
            names = [f"{number}" for number in range(len(sizes) - 1)] + [f"change-{variant}"]
            made = [(name, *size) for name, size in zip(names, sizes, strict=True)]
            self._built[self.reference(recipe, variant)] = made

    async def push(self) -> Pushed:
        """Send every layer once, at the speed of the wire."""
        sent = 0
        for reference, layers in self._built.items():
            known = {layer for layers in self._published.values() for layer in layers}
            sent += MANIFEST_BYTES + sum(layer[1] for layer in layers if layer not in known)
            self._published[reference] = layers
        await asyncio.sleep(sent / MIB / self._truth.wire_mib_per_s * self._draw())
        return Pushed(sent)

    async def size_bytes(self, recipe: Recipe, variant: int) -> int:
        """Manifest and layers."""
        layers = self._published[self.reference(recipe, variant)]
        return MANIFEST_BYTES + sum(layer[1] for layer in layers)

    async def pull(self, reference: str, note: Note, deadline_s: float) -> Pulled:
        """Bring what is not here, then unpack it."""
        if reference not in self._published:
            raise ImageError(f"the simulated registry has no {reference}")
        here = {layer for image in self._images for layer in self._published[image]}
        missing = [layer for layer in self._published[reference] if layer not in here]
        wire = MANIFEST_BYTES + sum(layer[1] for layer in missing)
        content = sum(layer[2] for layer in missing)
        factor = self._draw()
        try:
            async with asyncio.timeout(deadline_s):
                per_layer_s = len(missing) * self._truth.layer_ms / 1e3
                await asyncio.sleep(factor * (per_layer_s + wire / MIB / self._truth.wire_mib_per_s))
                note()
                await asyncio.sleep(factor * content / MIB / self._truth.unpack_mib_per_s)
        except TimeoutError as error:
            raise EngineTimeout(f"simulated did not end the pull in {deadline_s:g} s") from error
        self._images.add(reference)
        return Pulled(wire, content, len(missing))

    async def close(self) -> None:
        """Nothing was built anywhere."""

    async def forget(self, keep: str | None) -> None:
        """Takes no time."""
        self._images = {image for image in self._images if image == keep}
