import pytest
from make_dataset import Design, Variant, pair, write_dataset

from analysis.cells import Cells, condition_words
from analysis.dataset import open_dataset
from analysis.scopes import FLEET


def cells_of(tmp_path, *designs, **options):
    return Cells(open_dataset(write_dataset(tmp_path / "d", *designs), **options), "lifecycle")


DOCKER = (Variant("docker", 170),)
SUSPECT = Design(DOCKER, blocks=2, verdict="suspect", seed=2)


def roles(cells):
    return [membership.role for membership in cells.memberships]


def test_the_baseline_comes_first_and_defaults_before_profiles(tmp_path):
    variants = (
        Variant("docker", 1, profile="crun"),
        Variant("docker", 1),
        Variant("libvirt", 1, emulated=True),
        Variant("process", 1),
        Variant("simulated", 1, virtual=True),
    )
    cells = cells_of(tmp_path, Design(variants, concurrency=(16, 2), blocks=1))
    names = ["process", "docker", "docker/crun", "libvirt (emulated CPU)", "simulated"]
    assert cells.variants() == names
    assert [cell.variant for cell in cells.cells] == names * 2
    assert [cells.condition(cell) for cell in cells.cells[::5]] == ["concurrency 2", "concurrency 16"]


def test_only_conditions_that_vary_are_shown(tmp_path):
    cells = cells_of(tmp_path, pair(3, 170, blocks=1))
    assert cells.varying == []
    assert cells.condition(cells.cells[0]) == "same for all"
    assert cells.constant["concurrency"] == 1
    assert cells.constant["image"] == "tiny"


def test_conditions_are_said_in_words():
    conditions = {"ready_deadline_s": 30.0, "limit_memory_mib": 64, "arrival_rate_per_s": 2.5}
    assert condition_words(conditions | {"graceful": False, "residents": None}) == (
        "ready deadline 30 s, limit memory 64 MiB, arrival rate 2.5/s, graceful no, residents none"
    )


def evidence(cells):
    """What the only cell's numbers rest on, by scope."""
    return {
        scope.host or scope.host_class or scope.kind: found
        for (_, scope), found in cells.evidence.items()
    }


def test_suspect_trials_do_not_stand_beside_valid_ones(tmp_path):
    cells = cells_of(tmp_path, Design(DOCKER, blocks=2), SUSPECT)
    assert evidence(cells) == {"fleet": "valid", "h1": "valid"}
    assert roles(cells) == ["timed", "set aside", "timed", "set aside"]


def test_suspect_trials_are_better_than_none(tmp_path):
    cells = cells_of(tmp_path, SUSPECT)
    assert cells.evidence[0, FLEET] == "suspect"
    assert roles(cells) == ["timed"] * 2


def test_suspect_trials_count_on_request(tmp_path):
    cells = cells_of(tmp_path, Design(DOCKER, blocks=2), SUSPECT, include_suspect=True)
    assert cells.evidence[0, FLEET] == "valid and suspect"
    assert roles(cells) == ["timed"] * 4


def test_a_host_of_suspect_trials_has_its_own_row_but_no_part_in_the_fleet(tmp_path):
    doubtful = Design(DOCKER, hosts=("h2",), blocks=2, verdict="suspect")
    cells = cells_of(tmp_path, Design(DOCKER, hosts=("h1",), blocks=2), doubtful)
    assert evidence(cells) == {"fleet": "valid", "h1": "valid", "h2": "suspect"}
    assert [cells.in_fleet(0, host) for host in (0, 1)] == [True, False]


def test_a_class_has_evidence_of_its_own(tmp_path):
    small = {"labels": {"class": "small"}}
    designs = [
        Design(DOCKER, hosts=("h1",), blocks=2, facts={"labels": {"class": "big"}}),
        Design(DOCKER, hosts=("h2",), blocks=2, facts=small, verdict="suspect"),
        Design(DOCKER, hosts=("h3",), blocks=2, facts=small, verdict="suspect", seed=2),
    ]
    cells = cells_of(tmp_path, *designs)
    found = evidence(cells)
    assert (found["fleet"], found["big"], found["small"]) == ("valid", "valid", "suspect")
    fleet, big, small_hosts = cells.scopes[:3]
    assert [cells.counting(0, scope).tolist() for scope in (fleet, big, small_hosts)] == [
        [True, False, False],
        [True, False, False],
        [False, True, True],
    ]
    assert [scope.host_class for scope in cells.scopes[3:]] == ["big", "small", "small"]


@pytest.mark.parametrize("include_suspect", [False, True])
def test_invalid_trials_never_count(tmp_path, include_suspect):
    invalid = Design(DOCKER, verdict="invalid", reasons=("stamps out of order",), blocks=2)
    cells = cells_of(tmp_path, invalid, include_suspect=include_suspect)
    assert cells.evidence == {}
    assert roles(cells) == ["set aside"] * 2


def test_failed_trials_count_as_failures_whatever_their_verdict(tmp_path):
    failed = Design(DOCKER, outcome="failed", verdict="invalid", blocks=2, seed=2)
    cells = cells_of(tmp_path, Design(DOCKER, blocks=2), failed)
    assert roles(cells) == ["timed", "failed", "timed", "failed"]
    assert cells.evidence[0, FLEET] == "valid"


def test_a_trial_that_ended_early_is_of_its_fellows_kind(tmp_path):
    """It could not say that its CPU is emulated; it is no cell of its own."""
    emulated = Design((Variant("libvirt", 2000, emulated=True),), blocks=2)
    failed = Design((Variant("libvirt", 2000),), blocks=1, outcome="failed", verdict="invalid", seed=2)
    cells = cells_of(tmp_path, emulated, failed)
    assert [cell.variant for cell in cells.cells] == ["libvirt (emulated CPU)"]


def test_emulated_and_real_instances_are_apart(tmp_path):
    real = Design((Variant("libvirt", 200),), hosts=("h1",), blocks=1)
    emulated = Design((Variant("libvirt", 2000, emulated=True),), hosts=("h2",), blocks=1)
    assert len(cells_of(tmp_path, real, emulated).cells) == 2


def test_how_often_was_measured_keeps_no_cells_apart(tmp_path):
    variants = (Variant("process", 3), Variant("docker", 170, params={"instances": 5, "warm_ups": 2}))
    cells = cells_of(tmp_path, Design(variants, blocks=1))
    assert cells.varying == []
    assert [len(group) for group in cells.groups()] == [2]
    assert "instances" not in cells.constant
