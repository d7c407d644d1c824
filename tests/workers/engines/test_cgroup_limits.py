from pathlib import Path

import pytest

from contract.errors import EngineError
from workers.engines import cgroup_limits

MIB = 1024 * 1024


def group(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_limits_of_version_2(tmp_path: Path) -> None:
    top = group(tmp_path / "a", {"cpu.max": "50000 100000", "memory.max": "max"})
    own = group(top / "b", {"cpu.max": "max 100000", "memory.max": str(64 * MIB)})
    assert cgroup_limits.cpus_of([own]) == 0.5  # the tightest on the way up
    assert cgroup_limits.memory_mib_of([own]) == 64
    cgroup_limits.limit_cpus((own,), 0.25)
    cgroup_limits.limit_memory((own,), 32)
    assert (own / "cpu.max").read_text() == "25000 100000"
    assert cgroup_limits.cpus_of([own]) == 0.25
    assert cgroup_limits.memory_mib_of([own]) == 32


def test_limits_of_version_1(tmp_path: Path) -> None:
    cpu = group(tmp_path / "cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"})
    none = str(9223372036854771712)
    memory = group(
        tmp_path / "memory",
        {"memory.limit_in_bytes": none, "memory.memsw.limit_in_bytes": none},
    )
    folders = (cpu, memory)
    assert cgroup_limits.cpus_of(list(folders)) is None
    assert cgroup_limits.memory_mib_of(list(folders)) is None
    cgroup_limits.limit_cpus(folders, 1.5)
    cgroup_limits.limit_memory(folders, 64)
    assert cgroup_limits.cpus_of(list(folders)) == 1.5
    assert cgroup_limits.memory_mib_of(list(folders)) == 64
    assert (memory / "memory.memsw.limit_in_bytes").read_text() == str(64 * MIB)


def test_what_cannot_be_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no control group"):
        cgroup_limits.limit_cpus((tmp_path,), 1)
    with pytest.raises(EngineError, match="no control group"):
        cgroup_limits.limit_memory((tmp_path,), 64)
    (tmp_path / "cpu.max").mkdir()
    with pytest.raises(EngineError, match="refuses"):
        cgroup_limits.limit_cpus((tmp_path,), 1)


def test_the_order_in_which_version_1_takes_memory_and_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(
        cgroup_limits, "_write", lambda file, text: (order.append(file.name), file.write_text(text))
    )
    names = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
    own = group(tmp_path / "m", dict.fromkeys(names, str(64 * MIB)))
    cgroup_limits.limit_memory((own,), 32)
    assert order == list(names)
    cgroup_limits.limit_memory((own,), 64)
    assert order[2:] == list(reversed(names))
