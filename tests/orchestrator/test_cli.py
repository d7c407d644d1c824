"""The installed command: exit codes tell causes apart, messages are plain, and it resumes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command
import engines
import pytest
from fleet import TONNAGE, running, wait_until

from contract.parts import list_parts, read_part
from orchestrator.results import Results
from workers.host_lock import host_lock

CAMPAIGN = """\
campaign: sample
blocks: {blocks}
profiles:
  doomed: {{driver: simulated, failure_share: 1.0}}
experiments:
  - experiment: lifecycle
    drivers: [{drivers}]
    params: {{instances: {instances}}}
"""
UNREACHABLE = "redis://user:s3cret@127.0.0.1:1/0"


class Here:
    """A folder with a campaign, and the options of a host of its own."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        self.folder = folder
        self.campaign = folder / "c.yaml"
        self.results = folder / "results"
        self.state = folder / "state"
        self.host = ["--name", "h1", "--state-dir", str(self.state), "--run-dir", str(run_dir)]
        self.local = ["run", str(self.campaign), "--local", "--results", str(self.results), *self.host]
        self.write()

    def write(self, drivers: str = "simulated", blocks: int = 2, instances: int = 3) -> None:
        text = CAMPAIGN.format(drivers=drivers, blocks=blocks, instances=instances)
        self.campaign.write_text(text)

    def tonnage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return command.tonnage(*arguments, cwd=self.folder)

    def installed(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The same as a process of its own, from the script that pip has made."""
        return subprocess.run(
            [TONNAGE, *arguments],
            capture_output=True,
            text=True,
            timeout=90,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if not key.startswith("TONNAGE_")},
        )

    def parts(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.results / "parts").glob("*.part")}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    with engines.short_folder() as run_dir:
        yield Here(tmp_path, run_dir)


def test_a_local_run_ends_with_its_report(here: Here) -> None:
    ran = here.installed(*here.local)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == "trials: 2 planned; 2 completed"
    assert ran.stdout.splitlines()[-1] == f"report: {here.results / 'report' / 'report.html'}"
    assert "sample: 2/2 trials" in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr  # piped output is plain
    assert (here.results / "campaign.yaml").read_text() == here.campaign.read_text()
    assert (here.results / "dataset" / "manifest.json").exists()
    assert not list(here.state.rglob("*.jsonl"))  # no write-ahead file outlives its part
    listed = here.tonnage("plan", "c.yaml", "--host", "h1", "--json")
    planned: list[dict[str, Any]] = json.loads(listed.stdout)
    assert {trial["trial_id"] for trial in planned} == set(list_parts(here.results / "parts"))


def test_running_again_measures_only_what_is_missing(here: Here) -> None:
    assert here.tonnage(*here.local).returncode == 0
    next((here.results / "parts").iterdir()).unlink()
    before = here.parts()

    reported = here.tonnage("report", str(here.results), "--out", "elsewhere")
    assert (reported.returncode, reported.stderr) == (0, "")
    assert reported.stdout == "report: elsewhere/report.html\n"
    manifest = json.loads((here.results / "dataset" / "manifest.json").read_text())
    assert [missing["reason"] for missing in manifest["missing"]] == ["not measured yet"]

    here.write(blocks=3)
    again = here.tonnage(*here.local, "--json")
    assert again.returncode == 0, again.stderr
    assert "3 trials, 1 of them measured before" in again.stderr
    assert before.items() <= here.parts().items()
    summary = json.loads(again.stdout)
    assert (summary["planned"], summary["outcomes"], summary["missing"]) == (3, {"completed": 3}, [])
    assert Path(summary["report"]).exists()


def test_a_run_without_a_report_ends_with_its_dataset(here: Here) -> None:
    ran = here.tonnage(*here.local, "--no-report")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == f"dataset: {here.results / 'dataset'}"
    assert not (here.results / "report").exists()
    summary = json.loads(here.tonnage(*here.local, "--no-report", "--json").stdout)
    assert (summary["planned"], summary["report"]) == (2, None)


def test_trials_that_failed_are_exit_code_3(here: Here) -> None:
    here.write(drivers="simulated, doomed")
    ran = here.tonnage(*here.local)
    assert ran.returncode == 3
    assert "trials: 4 planned; 2 completed, 2 failed" in ran.stdout
    assert "the simulated engine refused to start the instance" in ran.stdout
    assert "report: " in ran.stdout
    again = here.tonnage(*here.local, "--retry-failed")
    assert again.returncode == 3
    assert sorted(attempts for attempts in list_parts(here.results / "parts").values()) == [
        (1,),
        (1,),
        (1, 2),
        (1, 2),
    ]


def test_an_interrupted_run_is_resumed(here: Here) -> None:
    here.write(blocks=400, instances=30)
    with running(here.folder / "log", *here.local) as run:
        wait_until(lambda: len(here.parts()) > 3, "a few parts are there")
        run.send(signal.SIGINT)
        assert run.wait() == 5, run.said()
        assert "stopping after the trial that is running" in run.said()
        assert "run the same command again for the rest" in run.said()
    before = here.parts()
    assert 3 < len(before) < 400
    here.write(blocks=len(before) + 5, instances=30)
    rest = here.tonnage(*here.local)
    assert rest.returncode == 0, rest.stderr
    after = here.parts()
    assert before.items() <= after.items()
    assert "of them measured before" in rest.stderr
    assert all(read_part(data).record.attempt == 1 for data in after.values())


def test_a_second_interrupt_abandons_the_running_trial(here: Here) -> None:
    here.write(blocks=1, instances=100_000)
    with running(here.folder / "log", *here.local) as run:
        lock = here.state / "host.lock"
        wait_until(lambda: "0 of them measured before" in run.said(), "the run has begun")
        assert "local run of 'sample'" in lock.read_text()
        run.send(signal.SIGINT)
        wait_until(lambda: "stopping" in run.said(), "the first signal is heard")
        run.send(signal.SIGINT)
        assert run.wait() == 5, run.said()
    assert here.parts() == {}


def test_a_host_that_is_being_measured_is_left_alone(here: Here) -> None:
    with host_lock(here.state, "worker 'h1'"):
        ran = here.tonnage(*here.local)
    assert ran.returncode == 1
    assert "this host is being measured by worker 'h1'" in ran.stderr


def test_results_that_another_run_holds_are_left_alone(here: Here) -> None:
    with Results(here.results).locked():
        ran = here.tonnage(*here.local)
    assert ran.returncode == 1
    assert "another coordinator is at work on" in ran.stderr


LOCAL = ["run", "c.yaml", "--local"]
ABSENT = ["--broker", UNREACHABLE]

USE = {
    "No such option: --locale": ["run", "c.yaml", "--locale"],
    "Missing argument 'CAMPAIGN'": ["run"],
    "No such command 'frobnicate'": ["frobnicate"],
    "--local for this machine, or --broker URL for a fleet": ["run", "c.yaml"],
    "--skip-driver leaves nothing to measure": [*LOCAL, "--skip-driver", "simulated"],
    "--name: found 'Bad'; allowed: 1 to 63": [*LOCAL, "--name", "Bad"],
    "--host: found 'Bad'; allowed: 1 to 63": ["plan", "c.yaml", "--host", "Bad"],
    "Invalid value for '--patience'": [*LOCAL, "--patience", "x"],
    "--label: found 'x'; allowed: KEY=VALUE": ["worker", "--label", "x"],
    "results folder c.yaml/r cannot be written: Not a directory; choose another with --results": [
        *LOCAL,
        *("--state-dir", "state", "--results", "c.yaml/r"),
    ],
    "c.yaml/s cannot be written: Not a directory; choose another with --state-dir": [
        *LOCAL,
        *("--state-dir", "c.yaml/s"),
    ],
    ".: neither a results folder": ["report", "."],
    "c.yaml is a file; allowed: a results folder": ["report", "c.yaml"],
    "there is no folder restults": ["report", "restults"],
    "c.yaml holds no campaign: a file; allowed: the results folder": ["status", "c.yaml"],
    "Missing argument 'CAMPAIGN'; `": ["run"],
    "Choose from: columns, hyperfine, incus-benchmark; `": ["import", "a.csv"],
    "no planned trial fits; planned: driver simulated (did you mean 'simulated'?)": [
        *LOCAL,
        *("--only", "driver=simulatd"),
    ],
    "redis://user:…@127.0.0.1:1/0: ": ["run", "c.yaml", *ABSENT],
    "is Redis running, and reachable from here?": ["hosts", *ABSENT],
    "Connection refused": ["plan", "c.yaml", *ABSENT],
    "tonnage: broker redis://": ["worker", "--simulate", "1", *ABSENT],
    "not a broker's URL: user:…@localhost": ["hosts", "--broker", "user:s3cret@localhost"],
}
"""Complaints, and commands that must get them."""


@pytest.mark.parametrize("complaint", USE)
def test_an_error_in_use_is_exit_code_1(here: Here, complaint: str) -> None:
    ran = here.tonnage(*USE[complaint])
    assert ran.returncode == 1, ran.stderr
    assert complaint in ran.stderr
    assert "s3cret" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_a_bad_campaign_is_exit_code_2(here: Here, command: str) -> None:
    here.campaign.write_text(here.campaign.read_text() + "blokcs: 3\n")
    ran = here.tonnage(command, "c.yaml", *(["--local"] if command == "run" else []))
    assert ran.returncode == 2
    assert ran.stderr.startswith("tonnage: c.yaml:9: unknown key 'blokcs' (did you mean 'blocks'?)")
    assert ran.stdout == ""


def test_a_campaign_that_is_not_there_is_exit_code_2(here: Here) -> None:
    ran = here.installed("validate", "absent.yaml")
    assert (ran.returncode, ran.stderr) == (
        2,
        "tonnage: absent.yaml: cannot be read: No such file or directory\n",
    )


def test_a_name_that_is_nearly_right_is_asked_about(here: Here) -> None:
    assert "(did you mean 'c.yaml'?)" in here.tonnage("validate", "cc.yaml").stderr


def test_a_file_of_another_kind_is_one_complaint(here: Here) -> None:
    (here.folder / "demand.yaml").write_text("demand: d\nshapes: [{name: a, count: 1}]\n")
    ran = here.tonnage("validate", "demand.yaml")
    assert ran.stderr == (
        "tonnage: demand.yaml is a demand; wanted here: a file with 'campaign' and 'experiments'\n"
    )


def test_tabs_are_advised_against(here: Here) -> None:
    here.campaign.write_text("campaign: c\n\tblocks: 3\n")
    assert "indent with spaces, not with tabs" in here.tonnage("validate", "c.yaml").stderr


def test_the_version_is_said(here: Here) -> None:
    assert here.tonnage("--version").stdout.startswith("tonnage 0.")


def test_a_good_campaign_is_said_to_be_fine(here: Here) -> None:
    ran = here.tonnage("validate", "c.yaml")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "c.yaml: fine. 1 cell × 2 blocks = 2 trials per host.\n"


def test_a_plan_is_shown(here: Here) -> None:
    ran = here.tonnage("plan", "c.yaml", "--host", "a", "--host", "b")
    assert "1 cell × 2 blocks × 2 hosts = 4 trials" in ran.stdout


@pytest.mark.parametrize(
    "what", ["campaign", "demand", "gate", "tables", "metrics", "reports", "prometheus"]
)
def test_schemas_are_published(here: Here, what: str) -> None:
    assert json.loads(here.tonnage("schema", what).stdout)


OF_HELP = {"typer", "annotated_doc", "shellingham", "rich", "markdown_it", "mdurl", "pygments"}
OF_HELP |= {"attr", "attrs"}  # rich looks whether they are there
"""Packages of others that may be imported for a page of help."""
OF_PARSING = OF_HELP | {"pydantic", "pydantic_core", "annotated_types"}
OF_PARSING |= {"typing_extensions", "typing_inspection"}
"""What typer takes to read a command's options."""
OF_VALIDATE = OF_PARSING | {"yaml", "cython_runtime", "psutil", "orjson"}

IMPORTS = """
import sys
before = set(sys.modules)
from orchestrator.cli import main
sys.argv[0] = "tonnage"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted(set(sys.modules) - before))
"""


def imported_by(*arguments: str) -> set[str]:
    """Modules that a command imports, none of which are Python's own."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said, _, names = done.stdout.rpartition("imported:")
    assert any(word in said for word in ("Usage", "fine.", "measured"))
    return {name for name in names.split() if name.partition(".")[0] not in sys.stdlib_module_names}


def packages(modules: set[str]) -> set[str]:
    """Packages of others that these modules are of; compiled parts of them have names of their own."""
    named = {module.partition(".")[0] for module in modules} - {"contract", "workers", "orchestrator"}
    return {name for name in named if not name.startswith("_")}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["worker", "--help"], ["serve", "--help"], []]
)
def test_help_imports_the_command_line_alone(arguments: list[str]) -> None:
    found = imported_by(*arguments)
    assert packages(found) <= (OF_PARSING if len(arguments) > 1 else OF_HELP)
    ours = {name for name in found if name.startswith(("contract.", "workers.", "orchestrator."))}
    own = (
        "orchestrator.cli",
        "orchestrator.importing",
        "contract.errors",
        "contract.nearest",
        "contract.plain_text",
    )
    assert {name for name in ours if not name.startswith(own)} == set()


def test_validation_imports_what_reads_campaigns(here: Here) -> None:
    found = imported_by("validate", str(here.campaign))
    assert packages(found) <= OF_VALIDATE
    assert not {name for name in found if name.startswith("analysis")}


def test_to_say_how_a_campaign_stands_neither_parts_nor_models_are_imported(here: Here) -> None:
    here.tonnage("run", str(here.campaign), "--local", "--results", str(here.results), "--no-report")
    found = imported_by("status", str(here.results))
    assert packages(found) <= OF_PARSING | {"msgspec", "orjson"}
    assert not found & {"contract.parts", "contract.campaign", "orchestrator.plan_file"}


def test_a_closed_pipe_is_no_traceback(here: Here) -> None:
    here.write(blocks=3000)
    command = f"'{TONNAGE}' plan c.yaml --json | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=here.folder
    )
    assert "Traceback" not in done.stderr
