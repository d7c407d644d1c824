"""deployment: a new release from the registry to the first reply, step by step, and what it moves."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Metric, Params
from contract.errors import EngineError, EngineTimeout, ImageError, TonnageError
from contract.rows import InstanceRow, Sample
from workers.bench import Bench
from workers.engines.delivery import Delivery, Pulled
from workers.experiments import base
from workers.experiments.stages import ReadyLevel, Running, bring_up, needs_of, take_down
from workers.images.payload import Form, Recipe

_BEFORE, _NEW = 0, 1
"""Variants: the release that the host may have, and the one that is deployed."""


class DeploymentParams(Params):
    """What deployment can vary."""

    deployments: int = Field(5, ge=1, le=10_000, description="measured deployments per trial")
    warm_ups: int = Field(0, ge=0, le=1000, description="deployments before them, kept and marked")
    size_mib: int = Field(100, ge=1, le=16_384, description="content of the image beside 'tiny', MiB")
    layers: int = Field(5, ge=1, le=100, description="layers of a container's image, the last one small")
    entropy: float = Field(
        0.5, ge=0, le=1, description="share of random bytes in the content; the others are zeros"
    )
    form: Form = Field("full", description="how a virtual machine's disk travels")
    cache: Literal["image_cold", "base_cached", "page_cold", "warm"] = Field(
        "image_cold", description="what the host has of the image before each deployment"
    )
    pull_deadline_s: float = Field(300, gt=0, le=3600, description="longest wait for one pull")
    ready: ReadyLevel = Field("reply", description="what counts as ready")
    ready_deadline_s: float = Field(60, gt=0, le=3600, description="longest wait for one instance")

    @model_validator(mode="after")
    def _a_base_needs_a_layer_above_it(self) -> Self:
        if self.cache == "base_cached" and self.layers == 1 and self.form != "delta":
            raise ValueError("2 layers or more when cache is base_cached: the last one is what is new")
        return self


class Experiment(base.Experiment):
    """Speed of delivery, and bytes that it moves."""

    name = "deployment"
    summary = "push → pull → unpack → create → ready: how fast a release arrives, and what it moves"
    Params: ClassVar[type[Params]] = DeploymentParams
    metrics = (
        Metric("deploy", "ns", "lower", "t_ready − t_intent: from the decision to the first reply"),
        Metric("wire", "ns", "lower", "t_pulled − t_pull: until the image's last byte had come"),
        Metric("unpack", "ns", "lower", "t_unpacked − t_pulled: from then until it could be used"),
        Metric("create", "ns", "lower", "t_created − t_call: the create call"),
        Metric("start", "ns", "lower", "t_started − t_created: console and start call"),
        Metric("boot", "ns", "lower", "t_beacon − t_started: until the agent's first words"),
        Metric("reply", "ns", "lower", "t_ready − t_beacon: request and correct reply"),
        Metric(
            "deployment.bytes_wire", "bytes", "lower", "manifest, configuration and layers that came"
        ),
        Metric("deployment.bytes_disk", "bytes", "lower", "what this host keeps more than before"),
        Metric("deployment.layers_pulled", "layers", "lower", "layers, or parts of a disk, that came"),
        Metric("deployment.push", "ns", "lower", "the push, in the trial that had to push"),
        Metric("deployment.bytes_pushed", "bytes", "lower", "what was sent in it"),
    )
    example = """\
campaign: deployment-example
blocks: 2
experiments:
  - experiment: deployment
    drivers: [simulated]
    params: {deployments: 3, cache: [image_cold, base_cached, warm]}
"""

    @classmethod
    def needs(cls, params: DeploymentParams) -> frozenset[Capability]:
        """A registry; the forms of disks; console or address by ready level."""
        needs = needs_of(params.ready) | {Capability.REGISTRY}
        return needs if params.form == "full" else needs | {Capability.DISK_FORMS}

    @classmethod
    def plan_rows(cls, params: DeploymentParams) -> list[InstanceRow]:
        """Warm-ups first."""
        return [
            InstanceRow(instance=n, ready_level=params.ready, warm_up=n < params.warm_ups)
            for n in range(params.warm_ups + params.deployments)
        ]

    async def run(self, bench: Bench) -> None:
        """See that the registry has the image; deploy it again and again; leave nothing of it here."""
        if bench.trial.image != "tiny":
            raise ImageError(
                "deployment generates its images on top of 'tiny': give it no other 'image'"
            )
        delivery = bench.driver.delivery()
        params = bench.params
        recipe = Recipe(params.size_mib, params.layers, params.entropy, params.form)
        try:
            await _publish(bench, delivery, recipe)
            for row in bench.recorder.rows.instances:
                await _deploy(bench, delivery, recipe, row)
        finally:
            await delivery.forget(None)


async def _publish(bench: Bench, delivery: Delivery, recipe: Recipe) -> None:
    """Generate and push what the registry lacks. Only the push is measured."""
    wanted = (_BEFORE, _NEW) if bench.params.cache == "base_cached" else (_NEW,)
    missing = [v for v in wanted if not await delivery.is_published(recipe, v)]
    try:
        if missing:
            await delivery.build(recipe, tuple(missing))
            begun = bench.now()
            pushed = await delivery.push()
            took = bench.now() - begun
            _sample(bench, "deployment.push", took, "ns")
            _sample(bench, "deployment.bytes_pushed", pushed.bytes_wire, "bytes")
    finally:
        await delivery.close()
    bench.findings["deployment"] = {
        "reference": delivery.reference(recipe, _NEW),
        "pushed_here": bool(missing),
        "image_bytes": await delivery.size_bytes(recipe, _NEW),
    }


async def _deploy(bench: Bench, delivery: Delivery, recipe: Recipe, row: InstanceRow) -> None:
    """One release: host made ready, pull, instance up, instance down."""
    reference = delivery.reference(recipe, _NEW)
    running = Running(row, image=reference)
    try:
        try:
            await _prepare(bench, delivery, recipe)
            row.t_intent = bench.now()
            await _pull(bench, delivery, reference, row)
        except TonnageError as error:
            row.outcome = "timeout" if isinstance(error, EngineTimeout) else "failed"
            row.error_class, row.error_text = error.code, f"delivery: {error}"
        else:
            await bring_up(bench, running, bench.params.ready_deadline_s)
    finally:
        await take_down(bench, running, graceful=False)
        bench.recorder.finish(row)


async def _prepare(bench: Bench, delivery: Delivery, recipe: Recipe) -> None:
    """Bring the host into the state that was asked for, before the clock runs."""
    cache, deadline_s = bench.params.cache, bench.params.pull_deadline_s
    if cache == "image_cold":
        await delivery.forget(None)
    elif cache == "base_cached":
        before = delivery.reference(recipe, _BEFORE)
        await delivery.pull(before, _ignored, deadline_s)
        await delivery.forget(before)
    else:
        await delivery.pull(delivery.reference(recipe, _NEW), _ignored, deadline_s)
    if cache in ("image_cold", "page_cold"):
        if bench.drop_caches is None:
            raise EngineError("page_cold and image_cold need root, to empty the page cache")
        await bench.drop_caches()


async def _pull(bench: Bench, delivery: Delivery, reference: str, row: InstanceRow) -> None:
    """The pull with its stamps. Notes come from the engine's thread, perhaps after we gave up."""
    came: list[int] = []
    row.t_pull = bench.now()
    try:
        pulled = await delivery.pull(reference, _stamping(bench, came), bench.params.pull_deadline_s)
        row.t_unpacked = bench.now()
    finally:
        row.t_pulled = came[-1] if came else row.t_unpacked  # nothing came: all was there by then
    for metric, value, unit in _counts(pulled):
        _sample(bench, metric, value, unit, row.instance)


def _stamping(bench: Bench, came: list[int]) -> Callable[[], None]:
    return lambda: came.append(bench.now())


def _counts(pulled: Pulled) -> tuple[tuple[str, int | None, str], ...]:
    return (
        ("deployment.bytes_wire", pulled.bytes_wire, "bytes"),
        ("deployment.bytes_disk", pulled.bytes_disk, "bytes"),
        ("deployment.layers_pulled", pulled.layers, "layers"),
    )


def _ignored() -> None:
    """What is not measured."""


def _sample(bench: Bench, metric: str, value: Any, unit: str, instance: int | None = None) -> None:
    number = None if value is None else float(value)
    bench.recorder.sample(Sample(bench.now(), metric, number, unit, instance=instance))
