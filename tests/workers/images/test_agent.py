"""The agent itself, spoken to through pipes."""

import base64
import contextlib
import hashlib
import json
import os
import random
import secrets
import select
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workers.agent import parse_line
from workers.experiments.reported import encoded
from workers.images import tiny

DEADLINE_S = 20.0


class Spoken:
    """One running agent."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            tiny.command(root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": str(root / "bin"), **environment},
            bufsize=0,
        )
        self._pending = b""
        self._asked = 0

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def line(self) -> bytes:
        """The next line, or b"" at the end."""
        assert self.process.stdout is not None
        while b"\n" not in self._pending:
            assert select.select([self.process.stdout], [], [], DEADLINE_S)[0], "the agent is silent"
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return b""
            self._pending += more
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def answer(self) -> dict[str, object]:
        spoken = json.loads(self.line())
        assert isinstance(spoken, dict)
        return spoken

    def ask(self, request: str) -> dict[str, object]:
        self._asked += 1
        ticket = f"t-{self._asked}"
        self.send(f"{ticket} {request}\n".encode())
        spoken = self.answer()
        assert spoken.pop("re") == ticket
        return spoken

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(DEADLINE_S)


Start = Callable[..., Spoken]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.rootfs(tmp_path_factory.mktemp("state"))


@pytest.fixture
def start(root: Path, tmp_path: Path) -> Iterator[Start]:
    running: list[Spoken] = []

    def begin(**environment: str) -> Spoken:
        environment = {"TONNAGE_NONCE": "n0nce", "TONNAGE_WORK": str(tmp_path), **environment}
        running.append(Spoken(root, **environment))
        return running[-1]

    yield begin
    for agent in running:
        agent.process.terminate()  # so that it takes its children with it
        agent.process.wait(DEADLINE_S)
        for pipe in (agent.process.stdin, agent.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def agent(start: Start) -> Spoken:
    agent = start()
    assert agent.answer() == {"beacon": "n0nce", "uptime_s": ""}
    return agent


def test_ping_is_answered_with_its_ticket(agent: Spoken) -> None:
    agent.send(b"one ping\n\n   \ntwo  ping\n")
    assert agent.answer() == {"re": "one", "ok": True}
    assert agent.answer() == {"re": "two", "ok": True}


def test_only_a_guest_tells_its_uptime(agent: Spoken, start: Start) -> None:
    assert agent.ask("uptime") == {"ok": True, "uptime_s": ""}
    guest = start(TONNAGE_GUEST="1")
    assert float(str(guest.answer()["uptime_s"])) > 0
    assert float(str(guest.ask("uptime")["uptime_s"])) > 0


@pytest.mark.parametrize("request_line", ["cpu 2", "mem 8", "disk 2", "sys 1000", "fork 5"])
def test_work_is_done_and_says_its_own_time(agent: Spoken, request_line: str, tmp_path: Path) -> None:
    spoken = agent.ask(request_line)
    assert spoken["ok"] is True
    assert isinstance(spoken["elapsed_s"], float)
    assert spoken["elapsed_s"] >= 0
    assert list(tmp_path.iterdir()) == []


def test_work_that_cannot_be_done_is_an_error(start: Start) -> None:
    agent = start(TONNAGE_WORK="/nonexistent")
    agent.line()
    assert agent.ask("disk 1") == {"ok": False, "error": "disk failed"}
    assert agent.ask("ping") == {"ok": True}


@pytest.mark.parametrize(
    "amount",
    ["", "0", "-1", "1.5", "08", "0x10", "1e3", "12345678", "one", "$((1))", "*", "1;id", "1 2"],
)
def test_amounts_that_are_no_small_whole_numbers_are_refused(agent: Spoken, amount: str) -> None:
    assert agent.ask(f"cpu {amount}")["ok"] is False
    assert agent.ask("ping") == {"ok": True}


def test_unknown_requests_are_refused(agent: Spoken) -> None:
    for request in ["", "work_cpu 1", "leave", "ping 1 2", "PING", "$(id)"]:
        assert agent.ask(request)["ok"] is False


def test_inspect_tells_facts_with_their_types(agent: Spoken) -> None:
    spoken = agent.ask("inspect")
    assert spoken["kernel"] == os.uname().release
    assert spoken["hostname"] == os.uname().nodename
    assert spoken["uid"] == os.getuid()
    assert spoken["pid1"] == Path("/proc/1/comm").read_text().strip()
    assert len(str(spoken["uid_map"]).split()) % 3 == 0
    for key in ("seccomp", "no_new_privs", "mem_total_kb", "cpus", "dev_entries"):
        assert isinstance(spoken[key], int), key
    assert int(str(spoken["cap_eff"]), 16) >= 0
    assert isinstance(spoken["namespaces"], dict)
    assert spoken["namespaces"]["pid"] == str(Path("/proc/self/ns/pid").readlink())


def test_inspect_tells_what_is_there_to_touch(agent: Spoken) -> None:
    spoken = agent.ask("inspect")
    assert spoken["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert int(str(spoken["cap_bnd"]), 16) >= 0
    assert spoken["gid"] == os.getgid()
    assert isinstance(spoken["processes"], int)
    assert spoken["processes"] > 1
    assert isinstance(spoken["interfaces"], list)
    assert "lo" in spoken["interfaces"]
    assert isinstance(spoken["block_devices"], list)
    assert set(spoken["block_devices"]) <= set(os.listdir("/dev"))
    assert isinstance(spoken["kernel_paths"], dict)
    mode, uid, gid, flag = spoken["kernel_paths"]["/proc/sys/kernel/core_pattern"].split()
    status = Path("/proc/sys/kernel/core_pattern").stat()
    assert (mode, int(uid), int(gid)) == (stat.filemode(status.st_mode), status.st_uid, status.st_gid)
    assert flag in ("rw", "ro")


def test_a_word_is_kept_in_a_file_and_in_memory(agent: Spoken, tmp_path: Path, start: Start) -> None:
    assert agent.ask("marked") == {"ok": True, "file": "", "memory": ""}
    assert agent.ask("mark abc1") == {"ok": True}
    assert agent.ask("marked") == {"ok": True, "file": "abc1", "memory": "abc1"}
    for word in ("", "a/b", "x" * 65):
        assert agent.ask(f"mark {word}")["ok"] is False
    (tmp_path / "marker").write_text("def\n")  # as after its files were restored, and not its memory
    assert agent.ask("marked") == {"ok": True, "file": "def", "memory": "abc1"}
    nowhere = start(TONNAGE_WORK="/nonexistent")
    nowhere.line()
    assert nowhere.ask("mark abc") == {"ok": False, "error": "mark failed"}


def test_digest_reads_files_and_nothing_else(agent: Spoken, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert agent.ask(f"digest {file}") == {"ok": True, "sha256": digest}
    for path in (tmp_path, tmp_path / "absent", "/dev/zero"):
        assert agent.ask(f"digest {path}") == {"ok": True, "sha256": None}
    for path in ("", "$(id)", "a;b", "*", "a" * 401):
        assert agent.ask(f"digest {path}")["ok"] is False
    file.unlink()


@pytest.mark.parametrize(
    "nonce", ["", 'a"b', "back\\slash", "tab\there", "%s%n", "$(id)", "a b  c", "é"]
)
def test_any_nonce_comes_back_as_valid_json(start: Start, nonce: str) -> None:
    spoken = start(TONNAGE_NONCE=nonce).answer()
    assert spoken["beacon"] == nonce.replace("\t", "")


def test_quit_and_the_end_of_input_end_it(agent: Spoken, start: Start) -> None:
    agent.send(b"q quit\n")
    assert agent.answer() == {"re": "q", "ok": True}
    assert agent.process.wait(DEADLINE_S) == 0
    other = start()
    other.send(b"half a line")
    assert other.end() == 0


@pytest.mark.parametrize("pause_s", [0, 0.01, 0.1])
@pytest.mark.parametrize("request_line", ["", "t disk 999\n", "t cpu 9999999\n", "t fork 999999\n"])
def test_term_ends_it_and_its_children_whatever_it_does(
    start: Start, request_line: str, pause_s: float, tmp_path: Path
) -> None:
    nonce = secrets.token_hex(8)
    agent = start(TONNAGE_NONCE=nonce)
    agent.line()
    agent.send(request_line.encode())
    time.sleep(pause_s)
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(DEADLINE_S) == 0
    assert list(tmp_path.iterdir()) == []
    for _ in range(200):
        if not processes_with(nonce):
            return
        time.sleep(0.05)
    raise AssertionError(f"children outlive the agent: {processes_with(nonce)}")


def processes_with(nonce: str) -> list[str]:
    """PIDs of living processes that have the nonce in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TONNAGE_NONCE={nonce}".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
    return found


STRESSES = {"cpu": 2, "mem": 1, "alloc": 32, "disk": 2, "flood": 1}


@pytest.mark.parametrize(("kind", "amount"), STRESSES.items())
def test_stress_goes_on_beside_answers_and_ends_without_a_trace(
    start: Start, kind: str, amount: int, tmp_path: Path
) -> None:
    nonce = secrets.token_hex(8)
    agent = start(TONNAGE_NONCE=nonce)
    agent.line()
    agent.send(f"a stress {kind} 60 {amount}\n".encode())
    assert heard(agent, "a") == {"re": "a", "ok": True}
    agent.send(b"b ping\nc stress cpu 1 1\n")
    assert heard(agent, "b")["ok"] is True
    assert heard(agent, "c")["error"] == "there is stress already"
    wait_for(lambda: len(processes_with(nonce)) > 1)
    agent.send(b"d calm\n")
    assert heard(agent, "d")["ok"] is True
    assert processes_with(nonce) == [str(agent.process.pid)]
    assert list(tmp_path.iterdir()) == []
    assert agent.ask("calm") == {"ok": False, "error": "there is no stress"}


@pytest.mark.parametrize("end", ["quit", "input", "term", "time"])
def test_stress_does_not_outlive_its_agent_or_its_time(start: Start, end: str, tmp_path: Path) -> None:
    nonce = secrets.token_hex(8)
    agent = start(TONNAGE_NONCE=nonce)
    agent.line()
    assert agent.ask(f"stress disk {1 if end == 'time' else 60} 1") == {"ok": True}
    if end == "quit":
        agent.send(b"q quit\n")
    elif end == "term":
        agent.process.send_signal(signal.SIGTERM)
    elif end == "input":
        agent.end()
    living = [str(agent.process.pid)] if end == "time" else []
    wait_for(lambda: processes_with(nonce) == living and not list(tmp_path.iterdir()))
    if end == "time":
        assert agent.ask("ping") == {"ok": True}


@pytest.mark.parametrize(
    "request_line",
    [
        *("stress", "stress cpu", "stress cpu 1", "stress cpu 0 1", "stress cpu 1 -1"),
        *("stress cpu 1 1 1", "stress $(id) 1 1", "stress cpu 12345 1", "stress cpu 1 1234567"),
        *("ping 1 1", "strain cpu 1"),
    ],
)
def test_stress_that_is_asked_for_wrongly_is_refused(agent: Spoken, request_line: str) -> None:
    assert agent.ask(request_line)["ok"] is False
    assert agent.ask("ping") == {"ok": True}


def heard(agent: Spoken, ticket: str) -> dict[str, object]:
    """The answer to a ticket, whatever is said between."""
    while True:
        spoken = parse_line(agent.line().decode())
        if spoken is not None and spoken.get("re") == ticket:
            return spoken


def wait_for(comes_true: Callable[[], bool]) -> None:
    for _ in range(400):
        if comes_true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true")


def test_a_line_of_any_length_is_answered_shortly(agent: Spoken) -> None:
    agent.send(b"a" * 100_000 + b"\n" + b"b ping " + b"c" * 100_000 + b"\n")
    for ticket in ("", "b"):
        line = agent.line()
        assert len(line) < 200
        assert json.loads(line)["re"] == ticket
    assert agent.ask("ping") == {"ok": True}


bad_lines = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
        st.sampled_from([b"x cpu \xff", b"\x81\x82 ping", b'"} ping', b"t\x00 ping", b"-n ping"]),
    ).map(lambda line: line.replace(b"\n", b" ")),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(lines=[b"quit", b"x", b"x ping extra words here"])
@given(lines=bad_lines)
def test_no_line_makes_it_fall_silent_or_speak_anything_but_json(
    agent: Spoken, lines: list[bytes]
) -> None:
    harmless = [line for line in lines if line.split()[1:2] != [b"quit"]]
    ticket = f"after-{random.getrandbits(32)}"
    agent.send(b"".join(line + b"\n" for line in harmless) + f"{ticket} ping\n".encode())
    for _ in range(len(harmless) + 1):
        spoken = json.loads(agent.line().decode("utf-8", "replace"))
        if spoken["re"] == ticket:
            assert spoken["ok"] is True
            return
    raise AssertionError("the ping after bad lines was not answered")


def test_a_file_on_a_disk_is_laid_out_once_and_used(agent: Spoken, tmp_path: Path) -> None:
    assert agent.ask("random 1") == {"ok": False, "error": "lay out a file first"}
    laid = agent.ask("lay 1")
    if "direct" in str(laid.get("error")) or "memory" in str(laid.get("error")):
        pytest.skip(f"tests work in a folder without direct access: {laid['error']}")
    for request in ("direct 4", "random 2", "fsync 2", "starts 2"):
        spoken = agent.ask(request)
        assert spoken["ok"] is True, (request, spoken)
        assert isinstance(spoken["elapsed_s"], float)
    assert (tmp_path / f"laid.{agent.process.pid}").stat().st_size == 2**20
    assert (tmp_path / f"laid.{agent.process.pid}.log").stat().st_size == 2 * 4096
    assert agent.ask("direct 257") == {"ok": False, "error": "direct failed"}  # beyond its end
    assert agent.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_memory_is_no_disk(start: Start) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        agent = start(TONNAGE_WORK=folder)
        agent.line()
        why = "the work folder lies in memory: there is no disk to ask"
        assert agent.ask("lay 1") == {"ok": False, "error": why}
        agent.end()


def test_two_agents_are_linked(start: Start) -> None:
    server, client = start(), start()
    port = next(port for port in random.sample(range(20_000, 30_000), 100) if is_free(port))
    for agent in (server, client):
        agent.line()
    assert client.ask(f"net 127.0.0.1 {port} 2")["ok"] is False
    assert server.ask(f"listen net {port} 1") == {"ok": True}
    assert server.ask(f"listen net {port} 1")["ok"] is False
    assert client.ask(f"net 127.0.0.1 {port} 20")["ok"] is True
    assert client.ask(f"net 127.0.0.1;id {port} 2")["ok"] is False
    server.end()
    assert is_free(port)
    sink = start()
    sink.line()
    assert sink.ask(f"listen stream {port} 2") == {"ok": True}
    assert client.ask(f"stream 127.0.0.1 {port} 2")["ok"] is True


def is_free(port: int) -> bool:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


AWKWARD = [
    "$(id)",
    "`id`",
    "a 'b' \"c\"",
    "line\nline\n",
    "-n",
    "--",
    "",
    "*",
    "\\0101",
    "é",
    "=x",
    ";id",
    "$x",
]


def test_words_reach_a_program_as_they_are(agent: Spoken) -> None:
    said = agent.ask(" ".join(["run", *map(encoded, ["busybox", "printf", "<%s>", *AWKWARD])]))
    assert said == {"ok": True, "elapsed_s": said["elapsed_s"], "status": 0}
    told = agent.ask("output")
    assert told["complete"] is True
    assert base64.b64decode(str(told["output"])).decode() == "".join(f"<{word}>" for word in AWKWARD)
    assert agent.ask("ping") == {"ok": True}


@pytest.mark.parametrize("name", ["nosuch", "leave", "ping", "/nonexistent", "/", "../x", "$(id)"])
def test_only_programs_of_the_image_are_run(agent: Spoken, name: str) -> None:
    error = {"ok": False, "error": f"there is no program '{name}' in here"}
    assert agent.ask(f"run {encoded(name)}") == error


def test_a_program_ends_as_it_ends_and_its_words_are_bounded(agent: Spoken, tmp_path: Path) -> None:
    def run(*words: str) -> tuple[object, dict[str, object]]:
        return agent.ask(" ".join(["run", *map(encoded, words)]))["status"], agent.ask("output")

    assert agent.ask("output") == {"ok": False, "error": "no program was run"}
    status, told = run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (status, told["complete"]) == (3, True)
    assert base64.b64decode(str(told["output"])) == b"out\n"
    assert base64.b64decode(str(told["errors"])) == b"err\n"
    status, told = run("dd", "if=/dev/zero", "bs=1M", "count=1")
    assert (told["complete"], len(base64.b64decode(str(told["output"])))) == (False, 32768)
    status, told = run(
        "sh", "-c", "dd if=/dev/zero bs=4096 count=1 | tr '\\0' e >&2; echo last >&2; pwd"
    )
    assert (status, base64.b64decode(str(told["output"])).decode()) == (0, f"{tmp_path}\n")
    errors = base64.b64decode(str(told["errors"]))
    assert (len(errors), errors[-5:]) == (1500, b"last\n")
    assert agent.end() == 0
    assert list(tmp_path.iterdir()) == []
