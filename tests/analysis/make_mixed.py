"""A dataset of three shapes on two classes of hosts, and demands for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from make_trials import Made, Stairs, Where, density, write_trials

GIB = 1 << 30
CLASSES: dict[str, dict[str, Any]] = {
    "small": {"mem_bytes": 8 * GIB, "cpu_count": 4, "labels": {"class": "small"}},
    "big": {"mem_bytes": 32 * GIB, "cpu_count": 16, "labels": {"class": "big"}},
}
EACH_MIB = {"web": 40.0, "db": 200.0, "batch": 20.0}
CPU_EACH = {"web": 0.004, "db": 0.02, "batch": 0.02}
SHAPES = """
  - {name: web, count: {p50: 600, p95: 700}, measured: {workload: web}}
  - {name: db, count: 60, measured: {workload: db}, most_per_host: 30}
  - {name: batch, count: {p50: 500, p95: 620}, measured: {workload: batch}}
"""
PRICES = "host_classes: [{name: small, price: 100}, {name: big, price: 330}]\n"


def mixed_dataset(folder: Path, drivers: tuple[str, ...] = ("docker",)) -> Path:
    """Climbs of every shape on two hosts of either class, per driver."""
    groups = [climb(driver, shape, name) for driver in drivers for shape in EACH_MIB for name in CLASSES]
    return write_trials(folder, *groups)


def climb(driver: str, shape: str, name: str, without: tuple[str, ...] = ()) -> list[Made]:
    """Climbs of one shape on the hosts of one class, to most of the memory."""
    facts = CLASSES[name]
    most = int((facts["mem_bytes"] * 0.8 / (1 << 20) - 600) / EACH_MIB[shape])
    step = max(1, most // 8)
    made = density(
        Stairs(
            Where(
                driver,
                hosts=(f"{name}-1", f"{name}-2"),
                blocks=3,
                seed=len(driver + shape + name),
                params={"workload": shape},
            ),
            each_mib=EACH_MIB[shape],
            cpu_each=CPU_EACH[shape],
            block_sigma=0.01,
            peak=step * 8,
            step=step,
            down=False,
            without=without,
        )
    )
    return [
        replace(one, record=one.record.model_copy(update={"facts": one.record.facts | facts}))
        for one in made
    ]


def demand(folder: Path, rest: str = "", shapes: str = SHAPES, prices: str = PRICES) -> Path:
    """A demand file."""
    file = folder / "demand.yaml"
    file.write_text(f"demand: shop\nshapes:{shapes}{prices}{rest}")
    return file
