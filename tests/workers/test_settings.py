"""What a host's settings make of what the operator gave."""

from pathlib import Path

import pytest

from workers.settings import HostSettings


def test_folders_are_whole_whatever_the_operator_wrote(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bare process has a working directory of its own, and would look for its image there."""
    monkeypatch.chdir(tmp_path)
    host = HostSettings(name="h1", state_dir=Path("state"), run_dir=Path("run"))
    assert (host.state_dir, host.run_dir) == (tmp_path / "state", tmp_path / "run")
