"""A campaign of every experiment on many hosts: measured on one by the simulated driver, told of all.

The other hosts have the same trials under ids of their own, their times and bytes longer or shorter by a
factor of each host. So the report has as much to do as with real ones, and nobody waits for them.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from contract.campaign import Campaign
from contract.tables import STAMPS
from contract.yaml_source import YamlSource
from orchestrator.compact import described, place_of
from orchestrator.gather import gather
from orchestrator.plan import plan_cells, plan_trials
from orchestrator.results import Results
from workers.discover import build_catalog
from workers.run import Assignment, run_trial
from workers.settings import HostSettings

MEASURED_ON = "h000"
EXPERIMENTS = tuple(build_catalog().experiments)
HOST_SIGMA = 0.03
PROFILE = {"slower": {"driver": "simulated", "start_ms": 60, "boot_ms": 80, "instance_pss_mib": 20}}
_TIMES = [column.name for column in STAMPS]


def write(folder: Path, hosts: int, blocks: int) -> Path:
    """Write the dataset into ``folder``. Returns its path."""
    measured = _measure(folder / "measured", blocks)
    dataset = folder / "dataset"
    factors = np.exp(np.random.default_rng(7).normal(0, HOST_SIGMA, hosts))
    names = [f"h{number:03}" for number in range(hosts)]
    manifest = json.loads((measured / "manifest.json").read_text())
    trials = pq.read_table(measured / "trials/trials.parquet")
    copies = [_moved(_copy(trials, name, 1.0), name) for name in names]
    files = [_put(dataset, dataset / "trials/trials.parquet", pa.concat_tables(copies))]
    for path in sorted(measured.glob("*/experiment=*/host=*/data-0.parquet")):
        table, experiment = path.parts[-4], path.parts[-3].partition("=")[2]
        rows = pq.ParquetFile(path).read()
        for name, factor in zip(names, factors, strict=True):
            target = place_of(dataset, table, experiment, name)
            files.append(_put(dataset, target, _copy(rows, name, float(factor))))
    manifest |= {"files": files, "hosts": names, "planned": manifest["planned"] * hosts}
    manifest |= {"gathered": manifest["gathered"] * hosts, "missing": []}
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    return dataset


def _measure(folder: Path, blocks: int) -> Path:
    """All experiments' examples as one campaign on one host, with and without a slower profile."""
    catalog = build_catalog()
    entries = [e for name in EXPERIMENTS for e in _entries(catalog.experiments[name].example)]
    content = {"campaign": "hundred", "blocks": blocks, "profiles": PROFILE, "experiments": entries}
    source = YamlSource(folder / "campaign.yaml", yaml.safe_dump(content))
    campaign = Campaign.model_validate(source.data)
    trials = plan_trials(campaign, plan_cells(campaign, source, catalog), [MEASURED_ON])
    results = Results(folder)
    results.parts.mkdir(parents=True)
    host = HostSettings(name=MEASURED_ON, state_dir=folder / "state", run_dir=folder / "run")
    for trial in trials:
        packed = run_trial(Assignment(trial, 1, host, "boot"))
        (results.parts / packed.name).write_bytes(packed.data)
    return gather(results, trials).dataset


def _entries(example: str) -> Iterator[dict[str, Any]]:
    content = yaml.safe_load(example)
    for entry in content["experiments"]:
        given = {key: content[key] for key in ("limits", "deadline_s") if key in content}
        yield given | entry | {"drivers": ["simulated", *PROFILE]}


def _copy(rows: pa.Table, host: str, factor: float) -> pa.Table:
    """The rows under ids of another host, and what is a time or a size multiplied."""
    ids = rows["trial_id"].combine_chunks().dictionary_encode()
    own = [
        hashlib.sha256(f"{host}/{old}".encode()).hexdigest()[:32] for old in ids.dictionary.to_pylist()
    ]
    renamed = pa.array(own, pa.string()).take(ids.indices)
    rows = rows.set_column(rows.schema.get_field_index("trial_id"), rows.field("trial_id"), renamed)
    for name in _TIMES:
        if name in rows.schema.names:
            scaled = pc.cast(pc.round(pc.multiply(rows[name], factor)), pa.int64())
            rows = rows.set_column(rows.schema.get_field_index(name), rows.field(name), scaled)
    if "value" in rows.schema.names:
        sized = pc.is_in(rows["unit"], pa.array(["ns", "bytes"]))
        value = pc.if_else(sized, pc.multiply(rows["value"], factor), rows["value"])
        rows = rows.set_column(rows.schema.get_field_index("value"), rows.field("value"), value)
    return rows


def _moved(trials: pa.Table, host: str) -> pa.Table:
    """Trials as another host's, where what all measure together is measured by this one alone."""
    groups = [[host] if group else [] for group in trials["group"].to_pylist()]
    columns = {"host": [host] * trials.num_rows, "group": groups}
    for name, content in columns.items():
        field = trials.field(name)
        trials = trials.set_column(
            trials.schema.get_field_index(name), field, pa.array(content, field.type)
        )
    return trials


def _put(dataset: Path, target: Path, table: pa.Table) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target, compression="zstd")
    return described(target, dataset)
