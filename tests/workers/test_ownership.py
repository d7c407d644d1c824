"""Who made a thing can be read back from it, and foreign things are never taken for ours."""

import pytest

from workers.ownership import LABEL_PREFIX, Owner, owner_from_labels

OWNER = Owner(host="h1", campaign="c", trial="0123456789abcdef" * 2, attempt=3, boot="b")


def test_an_owner_is_read_back_from_its_labels() -> None:
    labels = OWNER.labels()
    assert all(key.startswith(LABEL_PREFIX) for key in labels)
    assert owner_from_labels(labels | {"maintainer": "somebody"}) == OWNER


@pytest.mark.parametrize("label", sorted(OWNER.labels()))
def test_a_thing_that_lacks_a_label_is_foreign(label: str) -> None:
    assert owner_from_labels({k: v for k, v in OWNER.labels().items() if k != label}) is None


@pytest.mark.parametrize(
    "labels", [{}, {"host": "h1"}, OWNER.labels() | {f"{LABEL_PREFIX}attempt": "many"}]
)
def test_other_labels_are_foreign(labels: dict[str, str]) -> None:
    assert owner_from_labels(labels) is None


def test_names_tell_trials_attempts_and_instances_apart() -> None:
    names = {
        Owner("h", "c", trial * 32, attempt, "b").instance_name(index)
        for trial in "ab"
        for attempt in (1, 2)
        for index in (0, 1, 11)
    }
    assert len(names) == 12
    assert all(name.startswith("tonnage-") for name in names)
