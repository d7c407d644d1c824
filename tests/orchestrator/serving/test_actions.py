"""Starting, cancelling, sweeping: processes of their own, with a log, that outlive the server."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines import free_port
from serving_rig import TOKEN, Rig, plan

from contract.errors import UseError
from orchestrator.cli.serving import jobs
from orchestrator.cli.serving.context import Serving
from orchestrator.cli.serving.jobs import Job, Jobs
from orchestrator.cli.serving.settings import ServeSettings
from orchestrator.cli.serving.starting import startable, sweep_words

SLOW = ("-c", "import time, sys; print('begun', flush=True); time.sleep(60)")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    content = {
        "campaign": "tiny",
        "blocks": 1,
        "experiments": [
            {"experiment": "lifecycle", "drivers": ["simulated"], "params": {"instances": 2}}
        ],
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
    (folder / "wrong.yaml").write_text("campaign: wrong\n")
    (folder / "notes.txt").write_text("no campaign")
    (folder / "linked.yaml").symlink_to("/etc/hostname")
    return folder


@pytest.fixture
def starting(tmp_path: Path, files: Path) -> Iterator[Rig]:
    with Rig.over(tmp_path, token=TOKEN, campaigns=files) as rig:
        rig.enter(TOKEN)
        yield rig


def jobs_of(root: Path, changed: Callable[[str], None] = lambda _: None, **said: Any) -> Jobs:
    return Jobs(ServeSettings("127.0.0.1", 8080, results_root=root, **said), changed)


def until(ready: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def ended(server: Serving, job_id: str) -> Job:
    until(lambda: server.jobs.job(job_id).code is not None)
    return server.jobs.job(job_id)


def test_only_campaign_files_of_the_folder_can_be_started(starting: Rig, files: Path) -> None:
    assert startable(files) == ["tiny.yaml", "wrong.yaml"]
    for file in ("../campaigns/tiny.yaml", "/etc/passwd", "linked.yaml", "notes.txt", ""):
        assert "no campaign file" in starting.post("/start", file=file).text


def test_what_is_wrong_with_a_campaign_is_said_before_anything_runs(starting: Rig) -> None:
    answer = starting.post("/start", file="wrong.yaml")
    assert answer.status_code == 400
    assert "&#39;experiments&#39; is missing" in answer.text
    assert starting.serving.jobs.latest("run") == []


def test_a_campaign_is_started_and_its_log_shown(starting: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it starts is really run in test_in_browser.py."""
    monkeypatch.setattr(jobs, "_PROGRAM", (jobs._PROGRAM[0], "-c", "import sys; print(sys.argv[1:])"))
    assert "tiny.yaml" in starting.get("/campaigns").text
    page = starting.post("/start", file="tiny.yaml", retry_failed="yes").headers["location"]
    job = ended(starting.serving, page.rpartition("/")[2])
    assert job.code == 0
    results = str(starting.root / "tiny")
    assert job.words[0] == "run"
    assert job.words[2:] == ("--local", "--results", results, "--retry-failed")
    assert results in starting.get(page).text


@pytest.mark.parametrize(
    ("code", "said"), [(3, "ended with code 3, trials are missing or failed"), (7, "ended with code 7")]
)
def test_how_a_command_ended_is_said(
    starting: Rig, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    monkeypatch.setattr(jobs, "_PROGRAM", (jobs._PROGRAM[0], "-c", f"import sys; sys.exit({code})"))
    page = starting.post("/start", file="tiny.yaml").headers["location"]
    ended(starting.serving, page.rpartition("/")[2])
    assert said in starting.get(page).text
    assert said in starting.get("/campaigns").text


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Jobs that last."""
    monkeypatch.setattr(jobs, "_PROGRAM", (jobs._PROGRAM[0], *SLOW))
    made = jobs_of(tmp_path, broker="redis://:hidden@127.0.0.1:1/0", keys=tmp_path / "keys")
    yield made
    for job in made.latest("run"):
        if made.stop(job):
            with suppress(ChildProcessError):  # whoever started it, in this process, waits for it, too
                os.waitpid(job.pid, os.WNOHANG)
            until(lambda job=job: not made.job(job.job_id).running)  # type: ignore[misc]


def test_a_job_is_known_to_a_server_that_starts_later(slow: Jobs, tmp_path: Path) -> None:
    job = slow.start("run", "tiny", ("run", "x.yaml"))
    later = jobs_of(tmp_path)
    assert later.job(job.job_id).running
    until(lambda: "begun" in later.log(job.job_id))
    assert os.getsid(job.pid) == job.pid  # no signal to the server's terminal reaches it
    assert later.stop(job)
    until(lambda: slow.job(job.job_id).code == -signal.SIGTERM)
    assert not later.job(job.job_id).running


def test_another_process_of_its_number_is_not_taken_for_it(slow: Jobs, tmp_path: Path) -> None:
    job = slow.start("run", "tiny", ("run", "x.yaml"))
    path = tmp_path / ".serve" / f"{job.job_id}.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | {"pid": os.getpid()}))
    later = jobs_of(tmp_path)
    assert not later.job(job.job_id).running
    assert not later.stop(later.job(job.job_id))
    assert not slow.stop(slow.job(job.job_id))
    path.write_text(text)


def test_the_brokers_password_stands_in_no_command_and_no_file(slow: Jobs, tmp_path: Path) -> None:
    job = slow.start("run", "tiny", ("run", "x.yaml"))
    assert b"hidden" not in Path(f"/proc/{job.pid}/cmdline").read_bytes()
    assert all("hidden" not in path.read_text() for path in (tmp_path / ".serve").iterdir())
    assert (tmp_path / ".serve").stat().st_mode & 0o077 == 0


def test_what_is_started_signs_with_the_servers_keys(slow: Jobs, tmp_path: Path) -> None:
    job = slow.start("run", "tiny", ("run", "x.yaml"))
    environment = Path(f"/proc/{job.pid}/environ").read_bytes().split(b"\0")
    assert f"TONNAGE_KEYS={tmp_path / 'keys'}".encode() in environment


def test_who_looks_is_told_when_a_log_has_grown(
    slow: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it grows, not only when the command has ended."""
    monkeypatch.setattr(jobs, "LOOKED_AT_EVERY_S", 0.01)
    told: list[str] = []
    told_jobs = jobs_of(tmp_path, told.append)
    job = told_jobs.start("run", "tiny", ("run", "x.yaml"))
    until(lambda: f"job:{job.job_id}" in told)
    assert told_jobs.job(job.job_id).running
    assert "begun" in told_jobs.log(job.job_id)


def test_only_so_many_at_once(slow: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 1)
    slow.start("run", "tiny", ("run", "x.yaml"))
    with pytest.raises(UseError, match="wait for one to end"):
        slow.start("run", "other", ("run", "x.yaml"))


@pytest.mark.parametrize("job_id", ["", "..", "../x", "1" * 10 + "-zzzzzzzz", "1796030067-6dcd6709\n"])
def test_ids_of_jobs_lead_nowhere_else(slow: Jobs, job_id: str) -> None:
    with pytest.raises(UseError, match="no command"):
        slow.job(job_id)


def test_what_was_left_is_removed_only_after_it_was_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = f"redis://127.0.0.1:{free_port()}/0"
    with Rig.over(tmp_path, token=TOKEN, broker=broker) as rig:
        rig.enter(TOKEN)
        assert "no command" in rig.post("/sweep", remove="yes", seen="").text
        monkeypatch.setattr(jobs, "_PROGRAM", (jobs._PROGRAM[0], "-c", "pass"))
        other = rig.serving.jobs.start("sweep", "h2", ("sweep",), dry_run=True).job_id
        ended(rig.serving, other)
        assert "list what was left first" in rig.post("/sweep", remove="yes", seen=other, host="").text
        assert [job.job_id for job in rig.serving.jobs.latest("sweep")] == [other]
    assert sweep_words("h1", dry_run=True) == ("sweep", "--fleet", "--dry-run", "--host", "h1")
    assert "--dry-run" not in sweep_words("", dry_run=False)


def test_without_a_broker_nothing_is_swept_or_released(acting: Rig) -> None:
    for path in ("/sweep", "/release"):
        assert "there is no broker" in acting.post(path, host="h1").text


def test_what_was_not_started_here_cannot_be_cancelled_here(acting: Rig) -> None:
    plan(acting.root / "other", ())
    assert "was not started from here" in acting.post("/campaigns/sample/cancel").text
