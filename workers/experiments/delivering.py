"""Bringing a generated image to a host, stamped: what every experiment on delivery has in common."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from contract.catalog import Params
from contract.errors import EngineError, EngineTimeout, ImageError, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.engines.delivery import Delivery, Pulled
from workers.experiments.stages import ReadyLevel, Running, bring_up
from workers.images.payload import Form, Recipe

BEFORE, NEW = 0, 1
"""Variants: the release that the host may have, and the one that is deployed."""


class DeliveryParams(Params):
    """What every experiment that delivers an image can vary: the image, and the waits for it."""

    size_mib: int = Field(100, ge=1, le=16_384, description="content of the image beside 'tiny', MiB")
    layers: int = Field(5, ge=1, le=100, description="layers of a container's image, the last one small")
    entropy: float = Field(
        0.5, ge=0, le=1, description="share of random bytes in the content; the others are zeros"
    )
    form: Form = Field("full", description="how a virtual machine's disk travels")
    pull_deadline_s: float = Field(300, gt=0, le=3600, description="longest wait for one pull")
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for one instance")


def recipe_of(bench: Bench) -> Recipe:
    """The image that the parameters describe. Raises ImageError when the campaign names another one."""
    if bench.trial.image != "tiny":
        name = bench.trial.experiment
        raise ImageError(f"{name} generates its images on top of 'tiny': give it no other 'image'")
    params = bench.params
    return Recipe(params.size_mib, params.layers, params.entropy, params.form)


async def publish(bench: Bench, delivery: Delivery, recipe: Recipe) -> None:
    """Generate and push what the registry lacks. Only the push is measured."""
    wanted = (BEFORE, NEW) if bench.params.cache == "base_cached" else (NEW,)
    missing = [v for v in wanted if not await delivery.is_published(recipe, v)]
    try:
        if missing:
            await delivery.build(recipe, tuple(missing))
            begun = bench.now()
            pushed = await delivery.push()
            took = bench.now() - begun
            sample(bench, "push", took, "ns")
            sample(bench, "bytes_pushed", pushed.bytes_wire, "bytes")
    finally:
        await delivery.close()
    bench.findings[bench.trial.experiment] = {
        "reference": delivery.reference(recipe, NEW),
        "pushed_here": bool(missing),
        "image_bytes": await delivery.size_bytes(recipe, NEW),
    }


async def prepare(bench: Bench, delivery: Delivery, recipe: Recipe) -> None:
    """Bring the host into the state that was asked for, before the clock runs."""
    cache, deadline_s = bench.params.cache, bench.params.pull_deadline_s
    if cache == "image_cold":
        await delivery.forget(None)
    elif cache == "base_cached":
        before = delivery.reference(recipe, BEFORE)
        await delivery.pull(before, _ignored, deadline_s)
        await delivery.forget(before)
    else:
        await delivery.pull(delivery.reference(recipe, NEW), _ignored, deadline_s)
    if cache in ("image_cold", "page_cold"):
        if bench.drop_caches is None:
            raise EngineError("page_cold and image_cold need root, to empty the page cache")
        await bench.drop_caches()


async def deploy(bench: Bench, delivery: Delivery, recipe: Recipe, running: Running) -> None:
    """From ``t_intent`` on: pull, and bring up the instance. A failure is the row's outcome."""
    row = running.row
    try:
        await pull(bench, delivery, delivery.reference(recipe, NEW), row)
    except TonnageError as error:
        refuse(row, error)
    else:
        await bring_up(bench, running, bench.params.ready_deadline_s)


def refuse(row: InstanceRow, error: TonnageError) -> None:
    """The image did not come, or the host could not be made ready for it."""
    row.outcome = "timeout" if isinstance(error, EngineTimeout) else "failed"
    row.error_class, row.error_text = error.code, f"delivery: {error}"


async def pull(bench: Bench, delivery: Delivery, reference: str, row: InstanceRow) -> None:
    """The pull with its stamps. Notes come from the engine's thread, perhaps after we gave up."""
    came: list[int] = []
    row.t_pull = bench.now()
    try:
        pulled = await delivery.pull(reference, _stamping(bench, came), bench.params.pull_deadline_s)
        row.t_unpacked = bench.now()
    finally:
        row.t_pulled = came[-1] if came else row.t_unpacked  # nothing came: all was there by then
    for metric, value, unit in _counts(pulled):
        sample(bench, metric, value, unit, row.instance)


def _stamping(bench: Bench, came: list[int]) -> Callable[[], None]:
    return lambda: came.append(bench.now())


def _counts(pulled: Pulled) -> tuple[tuple[str, int | None, str], ...]:
    return (
        ("bytes_wire", pulled.bytes_wire, "bytes"),
        ("bytes_disk", pulled.bytes_disk, "bytes"),
        ("layers_pulled", pulled.layers, "layers"),
    )


def _ignored() -> None:
    """What is not measured."""


def sample(bench: Bench, metric: str, value: Any, unit: str, instance: int | None = None) -> None:
    """Note a metric of the experiment that runs."""
    number, name = None if value is None else float(value), f"{bench.trial.experiment}.{metric}"
    bench.recorder.sample(Sample(bench.now(), name, number, unit, instance=instance))
