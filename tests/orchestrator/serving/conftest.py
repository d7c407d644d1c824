"""Servers over results folders, asked without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_rig import TOKEN, Rig, measured_root


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A read-only server over a root with one campaign of eight trials, none measured yet."""
    with Rig.over(tmp_path) as made:
        yield made


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[Rig]:
    """The same with a token, which has been entered."""
    with Rig.over(tmp_path, token=TOKEN) as made:
        made.enter(TOKEN)
        yield made


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a campaign that was really run, on simulated hosts, with its dataset and report."""
    return measured_root(tmp_path_factory.mktemp("serving"))
