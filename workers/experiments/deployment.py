"""deployment: a new release from the registry to the first reply, step by step, and what it moves."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, Metric, Params
from contract.errors import TonnageError
from contract.rows import InstanceRow
from workers.bench import Bench
from workers.engines.delivery import Delivery
from workers.experiments import base
from workers.experiments.delivering import (
    NEW,
    DeliveryParams,
    deploy,
    prepare,
    publish,
    recipe_of,
    refuse,
)
from workers.experiments.stages import Running, needs_of, take_down
from workers.images.payload import Recipe


class DeploymentParams(DeliveryParams):
    """What deployment can vary."""

    deployments: int = Field(5, ge=1, le=10_000, description="measured deployments per trial")
    warm_ups: int = Field(0, ge=0, le=1000, description="deployments before them, kept and marked")
    cache: Literal["image_cold", "base_cached", "page_cold", "warm"] = Field(
        "image_cold", description="what the host has of the image before each deployment"
    )

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
        recipe = recipe_of(bench)
        delivery = bench.driver.delivery()
        try:
            await publish(bench, delivery, recipe)
            for row in bench.recorder.rows.instances:
                await _deploy(bench, delivery, recipe, row)
        finally:
            await delivery.forget(None)


async def _deploy(bench: Bench, delivery: Delivery, recipe: Recipe, row: InstanceRow) -> None:
    """One release: host made ready, pull, instance up, instance down."""
    running = Running(row, image=delivery.reference(recipe, NEW))
    try:
        try:
            await prepare(bench, delivery, recipe)
        except TonnageError as error:
            refuse(row, error)
        else:
            row.t_intent = bench.now()
            await deploy(bench, delivery, recipe, running)
    finally:
        await take_down(bench, running, graceful=False)
        bench.recorder.finish(row)
