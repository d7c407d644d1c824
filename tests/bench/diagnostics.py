"""How often the diagnostics say something of clean campaigns, and how often they find what is there.

Run it by hand: ``python tests/bench/diagnostics.py [CAMPAIGNS]`` with the repository and ``tests`` and
``tests/analysis`` in PYTHONPATH. A smaller version is a test.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from make_trials import Made, Where, record_of, write_trials

from analysis.cells import Cells
from analysis.dataset import open_dataset
from analysis.diagnostics import rows, words
from analysis.diagnostics.series import Measured, Series

DRIVERS = ("process", "docker", "containerd")


@dataclass(frozen=True)
class Campaign:
    """A standard campaign: what hosts, blocks and instances add to the logarithm of a time."""

    hosts: int = 10
    blocks: int = 10
    instances: int = 30
    sigma: float = 0.15
    host_sigma: float = 0.03
    shock_sigma: float = 0.02
    """Of blocks, the same on all hosts."""
    block_sigma: float = 0.02
    """Of blocks, on each host alone."""
    agree_sigma: float = 0.0
    """Of hosts, on one variant alone."""
    drift: float = 1.0
    """The last block over the first."""
    slow: float = 1.0
    """The first host, with everything."""
    contrary: float = 1.0
    """The first host, with docker only."""
    first_block: float = 1.0
    first_instance: float = 1.0


@contextmanager
def skeleton(campaign: Campaign) -> Iterator[Cells]:
    """Cells of a campaign with as many hosts and blocks, without any rows."""
    facts = {"cpu_count": 4}
    names = [f"host-{i}" for i in range(campaign.hosts)]
    made = [
        Made(record_of(Where(driver), "lifecycle", host, block, facts), [], [])
        for driver in DRIVERS
        for host in names
        for block in range(campaign.blocks)
    ]
    with TemporaryDirectory() as folder, open_dataset(write_trials(Path(folder), made)) as dataset:
        yield Cells(dataset, "lifecycle")


def measured(cells: Cells, campaign: Campaign, rng: np.random.Generator) -> Measured:
    """One campaign's numbers."""
    hosts, blocks = len(cells.hosts), campaign.blocks
    moves = np.log(campaign.drift) * np.arange(blocks) / max(1, blocks - 1)
    moves[0] += np.log(campaign.first_block)
    moves += rng.normal(0, campaign.shock_sigma, blocks)
    of_host = rng.normal(0, campaign.host_sigma, hosts)
    of_host[0] += np.log(campaign.slow)
    series = []
    for cell in cells.cells:
        own = of_host + rng.normal(0, campaign.agree_sigma, hosts)
        own[0] += np.log(campaign.contrary) if cell.driver == "docker" else 0.0
        centre = own[:, None] + moves + rng.normal(0, campaign.block_sigma, (hosts, blocks))
        noise = rng.normal(0, campaign.sigma, (hosts, blocks, campaign.instances))
        noise[..., 0] += np.log(campaign.first_instance)
        series.append(_series(cell, centre[..., None] + noise))
    return Measured("lifecycle", "time to ready", cells, tuple(series))


def _series(cell, logs) -> Series:
    hosts, blocks, instances = logs.shape
    means = logs.mean(axis=2)
    return Series(
        cell,
        np.repeat(np.arange(hosts), blocks),
        np.tile(np.arange(blocks), hosts),
        np.exp(np.median(logs, axis=2)).ravel(),
        np.full(hosts * blocks, instances),
        means.ravel(),
        ((logs - means[..., None]) ** 2).sum(axis=2).ravel(),
        (logs[..., 0] - np.median(logs[..., 1:], axis=2)).ravel(),
    )


def alarms(one: Measured) -> set[str]:
    """Kinds of tests that said something, and with a ``?`` those that would without a floor."""
    course, hosts, agree = (f([one]) for f in (rows.course_rows, rows.host_rows, rows.agreement_rows))
    found = {row["sign"] for row in course if words.notable(row)}
    found |= {f"{row['sign']}?" for row in course if (row["p_adjusted"] or 0.0) <= rows.ALPHA}
    found |= {row["host"] for row in hosts if row.get("outlier")}
    found |= {"outlier" for _ in found & set(one.cells.hosts)}
    return found | {"agreement" for row in agree if words.disagrees(row)}


def rates(campaign: Campaign, campaigns: int) -> Counter[str]:
    """How many of so many campaigns gave which alarms."""
    rng = np.random.default_rng(campaigns)
    with skeleton(campaign) as cells:
        return Counter(name for _ in range(campaigns) for name in alarms(measured(cells, campaign, rng)))


CLEAN = {
    "standard": Campaign(),
    "hosts alike": Campaign(host_sigma=0.0, shock_sigma=0.0, block_sigma=0.0),
    "hosts differ": Campaign(host_sigma=0.1),
    "five hosts": Campaign(hosts=5),
    "100 hosts": Campaign(hosts=100, blocks=5, instances=10),
    "one host": Campaign(hosts=1),
}
POWER = {
    "a host 20 % slower": (Campaign(slow=1.2), "host-0"),
    "drift of 10 %": (Campaign(drift=1.1), "drift"),
    "drift of 10 % on one host": (Campaign(hosts=1, drift=1.1), "drift"),
    "first block 15 % slower": (Campaign(first_block=1.15), "first block"),
    "first instance 15 % slower": (Campaign(first_instance=1.15), "first instances"),
    "one host 20 % slower with docker": (Campaign(contrary=1.2), "agreement"),
}


def main() -> None:
    """Print all rates."""
    campaigns = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for name, campaign in CLEAN.items():
        n = campaigns // (10 if campaign.hosts > 50 else 1)
        found = rates(campaign, n)
        each = [f"{kind} {number / n:.1%}" for kind, number in sorted(found.items())]
        said = ", ".join(text for text in each if not text.startswith("host-")) or "nothing"
        sys.stdout.write(f"clean, {name}, {n} campaigns: {said}\n")
    for name, (campaign, kind) in POWER.items():
        found = rates(campaign, campaigns)
        sys.stdout.write(f"{name}: found in {found[kind] / campaigns:.1%}\n")


if __name__ == "__main__":
    main()
