"""A campaign in a folder, read as the terminal reads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A results root with one campaign of eight trials, none measured yet."""
    with Rig.over(tmp_path) as made:
        yield made
