"""What tests of imports share."""

from pathlib import Path

import pytest
from imports import Importer


@pytest.fixture
def importer(tmp_path: Path) -> Importer:
    return Importer(tmp_path)
