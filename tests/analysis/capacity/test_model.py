"""The model's formulas against counting up one by one."""

import math

import numpy as np
import pytest
from scipy import special

from analysis.capacity import model
from analysis.capacity.demand import Domains, HostFailures
from analysis.capacity.domains import ALONE, Layout
from analysis.capacity.model import Inputs, Restart, Rules, Use

GIB, MB = 2.0**30, 1e6


def use(**given: float) -> Use:
    standard = {"base": 0.0, "each": 1.0, "own": 0.0, "shared": 0.0, "noise": 0.0, "capacity": 100.0}
    return Use(**{name: np.array([value]) for name, value in (standard | given).items()})


@pytest.mark.parametrize(("each_mb", "most"), [(5, 46_000), (27, 8_600), (114, 2_000)])
def test_the_worked_shape_of_published_slopes(each_mb: float, most: int) -> None:
    """256 GiB host, 10 % headroom, 4 GiB base: Docker, Tinyx and Debian of LightVM's slopes."""
    capacity = 0.9 * 256 * GIB
    found = float(model.density_of(use(base=4 * GIB, each=each_mb * MB, capacity=capacity), 2.33)[0])
    assert found == math.floor((capacity - 4 * GIB) / (each_mb * MB))
    assert found == pytest.approx(most, rel=0.07)


def test_density_is_the_largest_that_keeps_the_risk() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        given = {
            "base": float(rng.uniform(0, 20)),
            "each": float(np.exp(rng.uniform(-3, 2))),
            "noise": float(rng.uniform(0, 3)),
        }
        given |= {"own": given["each"] * float(rng.uniform(0, 2))}
        given |= {"shared": given["each"] * float(rng.uniform(0, 0.6))}
        z = float(rng.choice([0.5, 2.33]))

        def fits(n: int, given: dict[str, float] = given, z: float = z) -> bool:
            variance = n * given["own"] ** 2 + (n * given["shared"]) ** 2 + given["noise"] ** 2
            return given["base"] + n * given["each"] + z * math.sqrt(variance) <= 100

        n = 0
        while fits(n + 1):
            n += 1
        assert float(model.density_of(use(**given), z)[0]) == n, given


def test_resources_that_instances_do_not_take_bound_nothing() -> None:
    assert model.density_of(use(each=0.0), 2.3)[0] == math.inf
    assert model.density_of(use(each=-1.0), 2.3)[0] == math.inf
    assert model.density_of(use(each=-1.0, base=101.0), 2.3)[0] == 0


def test_sigma_and_rho_of_the_textbook_form() -> None:
    """own² + shared² = σ² and shared² = ρσ² give σ²·D·(1 + (D − 1)·ρ)."""
    sigma, rho, d = 2.0, 0.3, 17
    own, shared = sigma * math.sqrt(1 - rho), sigma * math.sqrt(rho)
    assert d * own**2 + d**2 * shared**2 == pytest.approx(sigma**2 * d * (1 + (d - 1) * rho))


@pytest.mark.parametrize("registry_s", [0.0, 0.4])
@pytest.mark.parametrize(
    "domains",
    [Domains(count=3), Domains(count=5, lose=2), Domains(sizes=[9, 30, 4, 40]), ALONE],
    ids=["3", "5 less 2", "sizes", "alone"],
)
def test_fewest_hosts_within_the_rto(domains: Domains, registry_s: float) -> None:
    """The search that starts at a bound finds what trying every number finds."""
    layout, rules = Layout(domains), Rules(2.33, domains, None, 60.0)
    room = min(layout.room, 400)
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        inputs = Inputs(
            np.array([float(rng.integers(50, 3000))]),
            {},
            {"cap": np.array([float(rng.integers(20, 200))])},
            Restart(
                np.array([float(np.exp(rng.uniform(-2, 2)))]),
                np.array([float(rng.uniform(1, 40))]),
                np.array([float(rng.uniform(1, 20))]),
                np.array([2.0 if registry_s else 0.0]),
                np.array([registry_s]),
            ),
        )
        least = float(model.hosts_by_step(inputs, rules)["failures"][0])
        every = np.arange(min(least, 401), room + 1)
        fewest = min(every[model.restore_s(inputs, layout, every) <= 60], default=math.inf)
        got = float(model.hosts_of(inputs, rules)[0])
        assert got == fewest or (math.isinf(fewest) and got > room), (inputs, least)
        found.append(got)
    assert len(set(found)) > 10


def test_each_step_asks_for_at_least_as_many_hosts() -> None:
    inputs = Inputs(np.array([1000.0]), {}, {"cap": np.array([30.0])})
    rules = Rules(2.33, Domains(count=4, lose=1, whole=True), HostFailures(mtbf="100h", mttr="20h"))
    steps = {name: float(hosts[0]) for name, hosts in model.hosts_by_step(inputs, rules).items()}
    assert steps["demand"] == 34
    assert steps["domains"] == 48
    assert steps["failures"] % 4 == 0
    up = 100 / 120
    assert 1 - special.bdtr(33, int(steps["failures"]), up) >= 0.999


def test_quantiles_are_hosts_of_draws_and_may_be_infinite() -> None:
    hosts = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, np.inf])
    assert [model.quantile(hosts, p) for p in (0.5, 0.9, 0.95)] == [5, 9, math.inf]
