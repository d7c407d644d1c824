"""What is fuzzed: all that reads what others wrote. Each takes a case, or refuses it in our words."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from fuzz_cases import YAML_WORDS, as_json, bent, changed
from hypothesis import strategies as st
from trials import make_part, make_trial

from analysis.capacity.demand import load_demand
from analysis.dataset import open_dataset
from analysis.gate.rules import load_gate
from contract.campaign import load_campaign
from contract.errors import PartError
from contract.message import decode_message
from contract.parts import check_part, peek_record, read_part, trials_table
from contract.sweeping import decode_order
from contract.trial import Receipt
from contract.yaml_source import load_yaml
from orchestrator.cli.hosts import _host_row
from orchestrator.cli.serving.capacity_form import fields_of
from orchestrator.cli.tabulate import tabulate
from orchestrator.cli.terminal.words import coordinator_in_words
from orchestrator.fleet import _entry, _opened
from orchestrator.heard import Activity, heard
from orchestrator.importing.mapping import ColumnsMapping, HyperfineMapping, load_mapping
from orchestrator.plan import plan_cells, plan_trials
from orchestrator.results import Results
from orchestrator.sign_of_life import FILE, SignReader
from workers.agent import parse_line, read_uptime_ns
from workers.discover import build_catalog
from workers.experiments.reported import number_by_path, number_by_pattern
from workers.images.oci import read_manifest
from workers.policy import load_policy

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/data/schema-1"
MOST_TRIALS = 20_000
"""Of a plan that is made: larger ones are only counted."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    cases: st.SearchStrategy[Any]
    read: Callable[[Path, Any], object]
    """Given a folder to work in and a case. What is refused raises one of our errors."""


def _sources() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "deploy/campaigns").glob("*.yaml"))]


def _written(read: Callable[[Path], object], folder: Path, case: Any) -> object:
    """A case as a file: bytes as they are, values as YAML."""
    path = folder / "case.yaml"
    path.write_bytes(case if isinstance(case, bytes) else _as_yaml(case))
    return read(path)


def _as_yaml(value: Any) -> bytes:
    """JSON is YAML, as far as our parser cares; what JSON cannot say is said as YAML says it."""
    text = json.dumps(value, default=str).replace("NaN", ".nan").replace("Infinity", ".inf")
    return text.encode("utf-8", "surrogatepass")


def _plan(path: Path) -> object:
    campaign, source = load_campaign(path)
    cells = plan_cells(campaign, source, build_catalog())
    if len(cells) * campaign.blocks * 2 > MOST_TRIALS:
        return None
    return plan_trials(campaign, cells, ["h1", "h2"])


def _demand(path: Path) -> object:
    """A demand, as the command reads it and as the web page's form takes it."""
    load_demand(path)
    return fields_of(load_yaml(path))


def _yaml_targets() -> list[Target]:
    seeds: dict[str, tuple[list[bytes], Callable[[Path], object]]] = {
        "campaigns": (_sources(), _plan),
        "policies": ([POLICY], load_policy),
        "demands": ([DEMAND], _demand),
        "rules": ([RULES], load_gate),
        "mappings of columns": ([COLUMNS], partial(load_mapping, model=ColumnsMapping)),
        "mappings of hyperfine": ([COMMANDS], partial(load_mapping, model=HyperfineMapping)),
    }
    return [
        Target(
            name,
            st.one_of(changed([yaml.safe_load(text) for text in texts]), bent(texts, YAML_WORDS)),
            lambda folder, case, read=read: _written(read, folder, case),  # type: ignore[misc]
        )
        for name, (texts, read) in seeds.items()
    ]


@cache
def _parts() -> list[bytes]:
    return [make_part().data, *(path.read_bytes() for path in sorted((GOLDEN / "parts").iterdir()))]


def _entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@st.composite
def _bent_parts(draw: st.DrawFn) -> bytes:
    """A damaged part, or whose record says odd things, or a bent table under a fitting checksum."""
    data = draw(st.sampled_from(_parts()))
    how = draw(st.integers(0, 2))
    if how == 0:
        return draw(bent([data]))
    entries = _entries(data)
    if how == 1:
        entries["trial.json"] = as_json(draw(changed([json.loads(entries["trial.json"])])))
        return _zipped(entries)
    return _with_bent_table(draw, entries)


def _with_bent_table(draw: st.DrawFn, entries: dict[str, bytes]) -> bytes:
    record = json.loads(entries["trial.json"])
    name = draw(st.sampled_from([n for n in ("instances", "samples") if f"{n}.parquet" in entries]))
    table = draw(bent([entries[f"{name}.parquet"]]))
    entries[f"{name}.parquet"] = table
    record["tables"][name]["sha256"] = hashlib.sha256(table).hexdigest()
    entries["trial.json"] = as_json(record)
    return _zipped(entries)


def _read_part(_: Path, data: bytes) -> object:
    for look in (check_part, lambda given: peek_record(io.BytesIO(given))):
        with suppress(PartError):
            trials_table([look(data)])
    part = read_part(data)
    return trials_table([part.record]).to_pylist()


def _hear(_: Path, case: Any) -> object:
    line = case if isinstance(case, str) else as_json(case).decode("utf-8", "replace")
    spoken = parse_line(line)
    if spoken is not None:
        json.dumps(spoken, allow_nan=False).encode()
        read_uptime_ns(spoken.get("uptime_s"))
    return number_by_path("$.a[0]", line) if len(line) % 2 else number_by_pattern("([0-9.e+]+)", line)


def _take_message(_: Path, case: Any) -> object:
    with suppress(Exception):  # what is no JSON is the library's to refuse
        case = json.loads(as_json(case))
    if isinstance(case, dict) and case.get("operation") == "sweep":
        return decode_order(case, "h1")
    return decode_message(case, "h1").trial.trial_id


def _take_receipt(_: Path, case: Any) -> object:
    with suppress(ValueError):  # as the dispatcher does
        return Receipt.model_validate_json(as_json(case))
    return None


def _see_host(_: Path, case: Any) -> object:
    raw = as_json(case)
    entry = _entry("h1", _opened("h1", raw, None), [raw, raw, raw])
    heard(Activity, raw)
    shown = "\n".join(tabulate([_host_row(entry)]))
    assert "\x1b" not in shown
    return entry.traits, entry.why_not("docker"), json.dumps(entry.as_dict())


def _read_plan(folder: Path, case: Any) -> object:
    (folder / "plan.json").write_bytes(case if isinstance(case, bytes) else as_json(case))
    results = Results(folder)
    results.outline().planned()
    return [trial.trial_id for trial in results.planned()]


def _see_sign(folder: Path, case: Any) -> object:
    (folder / FILE).write_bytes(case if isinstance(case, bytes) else as_json(case))
    found = SignReader(folder).read()
    said = coordinator_in_words(found)
    said.encode()
    return said


def _open(folder: Path, case: Any) -> object:
    (folder / "manifest.json").write_bytes(case if isinstance(case, bytes) else as_json(case))
    for name in ("trials", "instances", "samples"):
        with suppress(FileExistsError):
            (folder / name).symlink_to(GOLDEN / "dataset" / name)
    with open_dataset(folder) as dataset:
        return dataset.trials()


def _json_of(path: str) -> Any:
    return json.loads((GOLDEN / path).read_text())


def targets() -> list[Target]:
    """All of them."""
    read = read_manifest
    plan, manifest = "plan.json", "dataset/manifest.json"
    return [
        *_yaml_targets(),
        Target("parts", _bent_parts(), _read_part),
        Target(
            "agent lines",
            st.one_of(changed([BEACON]), st.text(max_size=300), bent([as_json(BEACON)]).map(_decoded)),
            _hear,
        ),
        Target("orders and sweeps", changed([_message(), SWEEP]), _take_message),
        Target("receipts", changed([make_part().receipt.model_dump(mode="json")]), _take_receipt),
        Target("registrations", changed([REGISTRATION]), _see_host),
        Target(
            "signs of life",
            st.one_of(changed([SIGN]), bent([as_json(SIGN)])),
            _see_sign,
        ),
        Target(
            "manifests of images",
            st.one_of(changed([IMAGE]).map(as_json), bent([as_json(IMAGE)])),
            lambda _, case: read(case),
        ),
        Target(
            "plans", st.one_of(changed([_json_of(plan)]), bent([as_json(_json_of(plan))])), _read_plan
        ),
        Target(
            "manifests of datasets",
            st.one_of(changed([_json_of(manifest)]), bent([as_json(_json_of(manifest))])),
            _open,
        ),
    ]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _message() -> Any:
    body = {"run": "0" * 32, "host": "h1", "attempt": 1, "issued_at_ns": 1, "nonce": "n" * 16}
    trial = make_trial(settings={"network": "none", "deep": [{"a": 1}]}).model_dump(mode="json")
    return body | {"contract": 1, "operation": "trial", "trial": trial}


SIGN = {"machine": "node7", "pid": 7, "began_s": 1.79e9, "at_s": 1.79e9}
SWEEP = {
    "contract": 1,
    "operation": "sweep",
    "host": "h1",
    "dry_run": True,
    "answer_to": "0" * 32,
}
BEACON = {"beacon": "00ff", "uptime_s": "1.25", "re": "00ff-1", "ok": True, "a": [1, {"b": "2"}]}
REGISTRATION = {
    "name": "h1",
    "contract": 1,
    "boot": "b",
    "labels": {"rack": "r1"},
    "since": 1.5,
    "facts": {"cpu_count": 4, "mem_bytes": 2**34, "cpu_model": "x", "root": True},
    "versions": {"tonnage": "0.1.0"},
    "engines": {"docker": {"present": True, "version": "27"}, "libvirt": {"present": False}},
    "at": 1.0,
    "load1": 0.5,
    "mem_available_bytes": 1,
    "clock_offset_ns": 5,
    "clock_error_ns": 1,
    "experiment": "lifecycle",
    "driver": "docker",
    "profile": "default",
    "since_ns": 1,
    "why": "x",
}
IMAGE = {
    "schemaVersion": 2,
    "config": {"mediaType": "c", "digest": f"sha256:{'0' * 64}", "size": 5},
    "layers": [{"mediaType": "l", "digest": f"sha256:{'1' * 64}", "size": 9} for _ in range(3)],
}
POLICY = b"""\
drivers: [docker, libvirt]
images: [tiny, "registry.example/team/*"]
commands: []
settings: {docker: {network: [none, bridge], userns: [default]}}
limits_required: true
max_memory_mib: 1024
max_deadline_s: 60
"""
DEMAND = b"""\
demand: shop
shapes:
  - name: web
    count: {p50: 2000, p95: 2600}
    growth: {per_year: 30%, months: 12}
    variants: [docker, libvirt]
    reserve: {mem: 256MiB, cpus: 0.5}
  - name: db
    service: {arrivals_per_s: {p50: 400, p95: 600}, service_time: 50ms, wait: 20ms}
    uptime: {mtbf: 700h, mttr: 2min, needed: 24, target: 99.99%}
slo: {start_p99: 2s, probe_p99: 50ms}
domains: {count: 3, lose: 1}
rto: 5min
host_classes:
  - {name: small, price: 120}
  - {name: big, like: small, scale: {mem: 4, cpus: 4}, price: 400}
"""
RULES = b"""\
gate: release
rules:
  - name: fast
    experiment: lifecycle
    where: {profile: new, concurrency: 8}
    metric: e2e
    quantile: p95
    at_most: 500ms
  - {experiment: lifecycle, metric: failed_share, at_most: 2%}
  - {experiment: lifecycle, metric: rate_per_s, at_least: 2/s, confidence: estimate}
"""
COLUMNS = b"""\
campaign: starts
measured_by: a team
measured_at: 2026-11-20 09:00:00
host: lab-1
interleaved: true
layout: {header: true}
params: {concurrency: 1}
block: {column: round}
failure: {values: [timeout], outcome: timeout}
stages:
  - {stage: e2e, column: ready_ms, unit: ms}
entries:
  - {files: starts.csv, driver: docker, profile: {column: runtime}}
"""
COMMANDS = b"""\
measured_by: a team
host: lab-1
commands:
  - {command: "docker run *", driver: docker, profile: runc}
  - {command: "podman run *", driver: podman, parameters: {threads: threads}}
"""
