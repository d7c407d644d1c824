"""rollout: a new image to all hosts at the same moment through one registry, until the last is ready."""

import random
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.catalog import Capability, FleetParams, Metric, Params
from contract.errors import RendezvousError, TonnageError
from contract.rows import InstanceRow
from contract.trial import ELSEWHERE
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
    sample,
)
from workers.experiments.stages import Running, needs_of, take_down
from workers.images.payload import Recipe


class RolloutParams(FleetParams, DeliveryParams):
    """What rollout can vary."""

    fan_out: int | None = Field(
        None, ge=1, le=100_000, description="hosts that pull at once, drawn anew; null: all"
    )
    cache: Literal["image_cold", "base_cached"] = Field(
        "image_cold", description="what every host has of the image before"
    )

    @model_validator(mode="after")
    def _a_base_needs_a_layer_above_it(self) -> Self:
        if self.cache == "base_cached" and self.layers == 1 and self.form != "delta":
            raise ValueError("2 layers or more when cache is base_cached: the last one is what is new")
        return self


class Experiment(base.Experiment):
    """Speed of a release's way to a whole fleet."""

    name = "rollout"
    summary = "one image to all hosts at once through one registry: first and last host ready"
    together = True
    Params: ClassVar[type[Params]] = RolloutParams
    metrics = (
        Metric("rollout", "ns", "lower", "t_ready − t_intent: common moment to first reply"),
        Metric("wire", "ns", "lower", "t_pulled − t_pull: until the image's last byte had come"),
        Metric("unpack", "ns", "lower", "t_unpacked − t_pulled: from then until it could be used"),
        Metric("create", "ns", "lower", "t_created − t_call: the create call"),
        Metric("start", "ns", "lower", "t_started − t_created: console and start call"),
        Metric("boot", "ns", "lower", "t_beacon − t_started: until the agent's first words"),
        Metric("reply", "ns", "lower", "t_ready − t_beacon: request and correct reply"),
        Metric("rollout.bytes_wire", "bytes", "lower", "manifest, configuration and layers that came"),
        Metric("rollout.bytes_disk", "bytes", "lower", "what this host keeps more than before"),
        Metric("rollout.layers_pulled", "layers", "lower", "layers, or parts of a disk, that came"),
        Metric("rollout.push", "ns", "lower", "the push, on the host that had to push"),
        Metric("rollout.bytes_pushed", "bytes", "lower", "what was sent in it"),
        Metric(
            "rollout.clock_error", "ns", "lower", "bound of this host's distance from the common moment"
        ),
        Metric("rollout.release_late", "ns", "lower", "how late this host heard of it; 0: in time"),
    )
    example = """\
campaign: rollout-example
blocks: 3
experiments:
  - experiment: rollout
    drivers: [simulated]
    params: {cache: [image_cold, base_cached], size_mib: 50}
"""

    @classmethod
    def needs(cls, params: RolloutParams) -> frozenset[Capability]:
        """A registry; the forms of disks; console or address by ready level."""
        needs = needs_of(params.ready) | {Capability.REGISTRY}
        return needs if params.form == "full" else needs | {Capability.DISK_FORMS}

    @classmethod
    def plan_rows(cls, params: RolloutParams) -> list[InstanceRow]:
        """One instance on this host."""
        return [InstanceRow(instance=0, ready_level=params.ready)]

    async def run(self, bench: Bench) -> None:
        """Publish; make the host ready; go at the common moment; clean up when all have ended."""
        recipe = recipe_of(bench)
        delivery = bench.driver.delivery()
        (row,) = bench.recorder.rows.instances
        hosts = _taking_part(bench)
        running = Running(row, image=delivery.reference(recipe, NEW))
        try:
            await _publish(bench, delivery, recipe)
            bench.findings["rollout"] |= {"hosts": list(hosts)}
            if bench.meeting.me in hosts:
                await _roll_out(bench, delivery, recipe, running)
            else:
                row.error_class = ELSEWHERE
                row.error_text = f"only {len(hosts)} of the hosts took part this time"
                await bench.meeting.arrive("cold", bench.params.meet_deadline_s)
            await bench.meeting.arrive("ready", bench.trial.deadline_s)
        finally:
            await take_down(bench, running, graceful=False)
            bench.recorder.finish(row)
            await delivery.forget(None)


def _taking_part(bench: Bench) -> tuple[str, ...]:
    """Hosts that pull in this trial: drawn by the seed, which is the same for all."""
    group, fan_out = bench.meeting.group, bench.params.fan_out
    if fan_out is None:
        return group
    if fan_out > len(group):
        raise RendezvousError(f"a fan_out of {fan_out} takes as many hosts, and there are {len(group)}")
    return tuple(sorted(random.Random(bench.trial.seed).sample(group, fan_out)))


async def _publish(bench: Bench, delivery: Delivery, recipe: Recipe) -> None:
    """One host sees that the registry has the image; the others wait. Simulated ones share nothing."""
    meeting = bench.meeting
    virtual = Capability.VIRTUAL_TIME in bench.driver.offers
    bench.findings["rollout"] = {}
    if virtual or meeting.me == meeting.group[0]:
        await publish(bench, delivery, recipe)
    await meeting.arrive("published", bench.params.meet_deadline_s)


async def _roll_out(bench: Bench, delivery: Delivery, recipe: Recipe, running: Running) -> None:
    """This host's part. What goes wrong in it is the row's outcome, and nobody waits for it in vain."""
    prepared = True
    try:
        await prepare(bench, delivery, recipe)
    except TonnageError as error:
        refuse(running.row, error)
        prepared = False
    release = await bench.meeting.arrive("cold", bench.params.meet_deadline_s)
    sample(bench, "clock_error", release.error_ns, "ns", running.row.instance)
    sample(bench, "release_late", release.late_ns, "ns", running.row.instance)
    if prepared:
        running.row.t_intent = bench.stamp_of(release)
        await bench.sleep_until(running.row.t_intent)
        await deploy(bench, delivery, recipe, running)
