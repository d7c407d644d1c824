"""A server over a results folder, for tests of what it shares with the terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A read-only server over a root with one campaign of eight trials, none measured yet."""
    with Rig.over(tmp_path) as made:
        yield made
