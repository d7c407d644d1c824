"""The statistics on data that others measured and whose quantiles are printed."""

from pathlib import Path

import numpy as np
import pytest

from analysis.statistics.blocks import blocked_sample
from analysis.statistics.quantiles import estimate_quantile

DATA = Path(__file__).parents[3] / "shared" / "data" / "firecracker-nsdi2020"
PRINTED = {
    "serial-fc-api": (161, 173),
    "serial-chv": (103, 110),
    "serial-qboot": (214, 221),
    "serial-qemu": (244, 258),
    "parallel-50-fc-api": (206, 246),
    "parallel-50-chv": (128, 159),
    "parallel-50-qemu": (231, 279),
    "parallel-100-fc-api": (217, 262),
    "parallel-100-chv": (134, 168),
    "parallel-100-qemu": (240, 296),
}
"""Median and 99th percentile of boot times, ms."""

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published data is not beside the project")


def boots_ms(name):
    return np.loadtxt(DATA / f"boot-{name}.dat", ndmin=2)[:, 0] / 1000


@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_quantiles_are_the_printed_ones(name, printed):
    values = boots_ms(name)
    sample = blocked_sample(values, np.arange(values.size))
    for p, expected in zip((0.5, 0.99), printed, strict=True):
        found = estimate_quantile(sample, p)
        assert found.value == pytest.approx(expected, abs=1)
        assert found.low <= found.value <= found.high


def test_boots_in_batches_are_not_independent():
    """The first batches of 50 at a time differ from later ones: the interval of the median widens."""
    values = boots_ms("parallel-50-qemu")
    batches = blocked_sample(values, np.arange(values.size) // 50)
    alone = blocked_sample(values, np.arange(values.size))
    assert batches.effective_n(0.5) < alone.effective_n(0.5) == pytest.approx(values.size)
