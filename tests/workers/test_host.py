"""Facts and load of a host, read from files as kernels of several kinds write them."""

from pathlib import Path

import pytest

from workers import host

INTEL = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
flags\t\t: fpu vme hypervisor lahf_lm
processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nBogoMIPS\t: 100.00\n\nModel\t\t: Raspberry Pi 4 Model B\n"

FILES = {
    "proc/cpuinfo": INTEL,
    "proc/1/comm": "systemd\n",
    "proc/pressure/cpu": "some avg10=1.50 avg60=0.00 avg300=0.00\nfull avg10=0.00 avg60=0.00\n",
    "proc/pressure/memory": "some avg10=9.00 avg60=0.00\nfull avg10=2.25 avg60=0.00 total=1\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/smt/control": "on\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/ksm/run": "0\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(host, "PROC", tmp_path / "proc")
    monkeypatch.setattr(host, "SYS", tmp_path / "sys")
    return tmp_path


def test_facts_of_a_server(machine: Path) -> None:
    facts = host.host_facts()
    expected = {
        "cpu_model": "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "cpu_governor": "performance",
        "smt": "on",
        "hypervisor": True,
        "thp": "madvise",
        "ksm_run": "0",
        "clocksource": "tsc",
        "cgroup_version": 2,
        "pid1": "systemd",
    }
    assert {key: facts[key] for key in expected} == expected
    assert facts["cpu_count"] >= 1
    assert facts["mem_bytes"] > 0


def test_what_a_host_does_not_say_is_null(machine: Path) -> None:
    for name in FILES:
        (machine / name).unlink()
    facts = host.host_facts()
    absent = ["cpu_governor", "smt", "thp", "ksm_run", "clocksource", "pid1"]
    assert [facts[key] for key in absent] == [None] * len(absent)
    assert facts["hypervisor"] is False
    assert facts["cgroup_version"] == 1
    assert facts["cpu_model"]  # at least the architecture


def test_other_processors_name_themselves_elsewhere(machine: Path) -> None:
    (machine / "proc/cpuinfo").write_text(ARM)
    assert host.host_facts()["cpu_model"] == "Raspberry Pi 4 Model B"


def test_a_file_that_is_no_text_is_null(machine: Path) -> None:
    (machine / "proc/1/comm").write_bytes(b"\xff\xfe")
    assert host.host_facts()["pid1"] is None


def test_pressure_is_read_where_there_is_any(machine: Path) -> None:
    load = host.load_now()
    assert load.psi_cpu_some_avg10 == 1.5
    assert load.psi_memory_full_avg10 == 2.25
    assert load.psi_io_full_avg10 is None


def test_load_only_grows() -> None:
    before = host.load_now()
    sum(range(200_000))
    after = host.load_now()
    assert after.cpu_busy_s >= before.cpu_busy_s
    assert after.worker_cpu_s >= before.worker_cpu_s
    assert after.mem_available_bytes > 0


def test_caches_are_dropped_by_the_kernels_own_file(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = machine / "proc/sys/vm/drop_caches"
    assert not host.can_drop_caches()
    file.parent.mkdir(parents=True)
    file.write_text("0\n")
    synced: list[bool] = []
    monkeypatch.setattr("os.sync", lambda: synced.append(True))
    host.drop_caches()
    assert (file.read_text(), synced) == ("3\n", [True])


def test_only_root_may_drop_caches(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = machine / "proc/sys/vm/drop_caches"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert host.can_drop_caches()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert not host.can_drop_caches()


def test_versions_name_what_runs_everywhere() -> None:
    assert set(host.versions()) == {"tonnage", "python", "kernel", "pyarrow"}
