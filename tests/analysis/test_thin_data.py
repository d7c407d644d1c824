"""The whole report on data that hold next to nothing, or nothing that is sound."""

import csv
import re

import pytest
from make_campaign import Truth, write_campaign
from make_dataset import Design, Variant, write_dataset
from make_trials import Faults, Made, Stairs, Where, density, record_of, recovery, write_trials
from page import Page, check_page

from analysis.report import write_report

EVERY = ("lifecycle", "density", "recovery", "deployment")
DOCKER = {"docker": 170.0}
SKIPPED = Where("libvirt", outcome="skipped", verdict="invalid", reasons=("no libvirt here",))
HUGE = 10.0**15


def campaign(**truth):
    return lambda folder: write_campaign(
        folder, Truth(**({"hosts": ("h1",), "experiments": EVERY} | truth))
    )


def trials(*groups):
    return lambda folder: write_trials(folder, *groups)


def bare(where, experiments=EVERY):
    """Trials without a row in any other table."""
    return [
        Made(record_of(where, experiment, "h1", block, {}), [], [])
        for experiment in experiments
        for block in range(where.blocks)
    ]


def everywhere(where):
    """The same trials of all experiments."""
    return trials(density(Stairs(where, peak=20)), recovery(Faults(where, injections=2)))


THIN = {
    "one of everything on two classes": campaign(
        hosts=("h1", "h2"), big=("h1",), blocks=1, instances=1
    ),
    "a huge host": campaign(
        hosts=("h1", "h2", "h3"), blocks=3, instances=3, slow={"h2": HUGE / 170e6},
        experiments=("lifecycle", "density"),
    ),
    "no variance": campaign(
        hosts=tuple("abcdef"), blocks=5, instances=5, sigma=0, block_sigma=0, host_sigma=0,
        experiments=("lifecycle", "deployment"),
    ),
    "a driver is missing": trials(bare(SKIPPED), density(Stairs(Where(blocks=1), peak=10))),
    "nothing but a missing driver": trials(bare(SKIPPED)),
    "all failed": trials(bare(Where(outcome="failed", verdict="invalid"))),
    "completed without a row": trials(bare(Where(blocks=5))),
    "no samples": trials(
        [Made(m.record, m.instances, []) for m in density(Stairs(peak=20)) + recovery(Faults())]
    ),
    "all invalid": everywhere(Where(verdict="invalid", reasons=("stamps out of order",))),
    "nothing recovered on many hosts": trials(
        recovery(Faults(Where(hosts=tuple("abcdef"), blocks=5), never=1.0, injections=3))
    ),
    "all attempts failed on many hosts": lambda folder: write_dataset(
        folder, Design((Variant("docker", 170, fails=1.0),), hosts=tuple("abcdef"), blocks=5)
    ),
    "memory that does not grow": trials(
        density(Stairs(Where(hosts=("a", "b", "c")), each_mib=0, noise_mib=0, peak=30, probes=5)),
        density(Stairs(Where("process", hosts=("a", "b", "c")), each_mib=-1, peak=30, probes=5)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", THIN)
def test_every_word_and_cell_is_sound(tmp_path, name):
    out = tmp_path / "report"
    page = Page(write_report(THIN[name](tmp_path / "dataset"), out).read_text(encoding="utf-8"))
    check_page(page, out)
    assert not re.search(r"e\+[0-9]{2,}", page.root.text)
    for path in (out / "tables").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                check_cells(path.name, row)


def check_cells(name, row):
    """Missing is empty; infinite is only a quantile, or its interval's end, that failures are beyond."""
    for column, text in row.items():
        assert text not in ("nan", "NaN", "None", "<NA>", "NaT", "-inf"), (name, column)
        beyond = re.fullmatch(
            r"(p[0-9]+|median|change|cold|value|outage)(_deploy)?(_low|_high)?_ns", column
        )
        assert text != "inf" or beyond, (name, column)
