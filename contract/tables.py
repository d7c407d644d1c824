"""The published tables: every column once, with type, unit and meaning. Schema version 1.

History: 1 (2026-11) first version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import pyarrow as pa

from contract.rows import InstanceRow, Rows, Sample

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a published table."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False


_TEXT = pa.string()
_INT = pa.int64()

_TRIAL_KEY = (
    Column("trial_id", _TEXT, "SHA-256 of the trial's content, first 32 hex digits"),
    Column(
        "attempt",
        pa.int32(),
        "1 for the first try, 0 when nobody measured it; one attempt of a trial is gathered",
    ),
)


def _stamp(name: str, meaning: str) -> Column:
    return Column(name, _INT, meaning, "ns since the trial began", nullable=True)


STAMPS = (
    _stamp("t_intent", "when the schedule meant the instance to begin, before any queueing"),
    _stamp("t_fault", "just before the fault was injected"),
    _stamp("t_detect", "when the supervisor noticed"),
    _stamp("t_act", "when the supervisor began to start it again"),
    _stamp("t_pull", "when the call that fetches the image was made"),
    _stamp("t_pulled", "when the last byte of the image had come over the wire"),
    _stamp("t_unpacked", "when the image could be used on this host"),
    _stamp("t_call", "when the create call was made"),
    _stamp("t_created", "when the create call returned: the instance exists, nothing runs"),
    _stamp("t_started", "when the start call returned"),
    _stamp("t_beacon", "the agent's first words arrived"),
    _stamp("t_ready", "the ready level was reached (first correct reply, unless ready_level differs)"),
    _stamp("t_stop_call", "when the stop or removal call was made"),
    _stamp("t_gone", "the engine's API says that the instance is gone"),
    _stamp("t_exited", "the instance's own process is dead, by pidfd"),
    _stamp("t_reclaimed", "no cgroup, namespace, mount, overlay, disk or record of it is left"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "trials": (
        *_TRIAL_KEY,
        Column("schema_version", pa.int32(), "version of these tables"),
        Column("campaign", _TEXT, "campaign name"),
        Column("host", _TEXT, "host name"),
        Column("group", pa.list_(pa.string()), "hosts that measured together; empty: this one alone"),
        Column("block", pa.int32(), "pass over all cells on this host; the unit of replication"),
        Column("order", pa.int32(), "place in the block's random order"),
        Column("experiment", _TEXT, "experiment name"),
        Column("driver", _TEXT, "driver name"),
        Column("profile", _TEXT, "profile of the driver; 'default' unless the campaign names one"),
        Column("settings", _TEXT, "the profile's settings, canonical JSON"),
        Column("params", _TEXT, "the experiment's parameters, canonical JSON"),
        Column("image", _TEXT, "image of the instances"),
        Column("limits", _TEXT, "limits of every instance, canonical JSON"),
        Column("seed", _INT, "seed of every random choice inside the trial", nullable=True),
        Column("deadline_ns", _INT, "longest time the trial might take", "ns", nullable=True),
        Column("outcome", _TEXT, "completed, partial, failed, skipped or lost"),
        Column("verdict", _TEXT, "valid, suspect or invalid: whether the trial may be believed"),
        Column("reasons", pa.list_(pa.string()), "why the verdict, and why not completed"),
        Column("error_class", _TEXT, "short name of the cause", nullable=True),
        Column("error_text", _TEXT, "the cause in words", nullable=True),
        Column("emulated", pa.bool_(), "instances ran on an emulated CPU (TCG)"),
        Column("virtual", pa.bool_(), "time was simulated: nothing in this trial is real"),
        Column("started_at", pa.timestamp("ns", "UTC"), "host's wall clock at the start", nullable=True),
        Column("duration_ns", _INT, "from start to end of the measurement", "ns", nullable=True),
        Column("clock_offset_ns", _INT, "broker's clock minus host's", "ns", nullable=True),
        Column("clock_error_ns", _INT, "half the best round trip to the broker", "ns", nullable=True),
        Column("facts", _TEXT, "what shapes numbers on this host, canonical JSON"),
        Column("versions", _TEXT, "versions of Tonnage, Python, kernel and engines, canonical JSON"),
    ),
    "instances": (
        *_TRIAL_KEY,
        Column("instance", pa.int32(), "number within the trial, from 0"),
        Column("outcome", _TEXT, "ok, failed, timeout, censored, skipped or lost"),
        Column("error_class", _TEXT, "short name of the cause", nullable=True),
        Column("error_text", _TEXT, "the cause in words, with the console's last lines", nullable=True),
        Column("ready_level", _TEXT, "started, beacon, reply, tcp:PORT or http:PORT/PATH"),
        Column("concurrency", pa.int32(), "instances in flight as planned; 0 for open-loop arrivals"),
        Column("residents", pa.int32(), "instances kept running beside the measured ones, as planned"),
        Column("resident", pa.bool_(), "this row is one of those residents"),
        Column("warm_up", pa.bool_(), "kept, but not to be used in statistics"),
        Column("victim", pa.int32(), "of an injection: the instance it was meant for", nullable=True),
        *STAMPS,
        Column("guest_uptime_ns", _INT, "guest's own uptime at its beacon", "ns", nullable=True),
    ),
    "samples": (
        *_TRIAL_KEY,
        Column("t_ns", _INT, "when it was observed", "ns since the trial began"),
        Column("instance", pa.int32(), "instance it belongs to", nullable=True),
        Column("step", pa.int32(), "step of a staircase it belongs to", nullable=True),
        Column("metric", _TEXT, "metric name; the schema page lists all"),
        Column("value", pa.float64(), "what was observed", "see unit", nullable=True),
        Column("unit", _TEXT, "unit of value"),
    ),
}


@cache
def schema_of(table: str) -> pa.Schema:
    """The Arrow schema of a published table."""
    fields = [pa.field(c.name, c.type, nullable=c.nullable) for c in TABLES[table]]
    return pa.schema(fields, metadata={"tonnage_schema_version": str(SCHEMA_VERSION)})


def to_table(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the published schema. A key that is no column raises KeyError."""
    names = {column.name for column in TABLES[table]}
    unknown = {key for row in rows for key in row} - names
    if unknown:
        raise KeyError(f"not columns of '{table}': {', '.join(sorted(unknown))}")
    return pa.Table.from_pylist(rows, schema=schema_of(table))


def trial_tables(rows: Rows, trial_id: str, attempt: int) -> dict[str, pa.Table]:
    """The two tables of one trial, every row stamped with its trial and attempt."""
    key = {"trial_id": trial_id, "attempt": attempt}
    return {
        "instances": _columns("instances", rows.instances, key),
        "samples": _columns("samples", rows.samples, key),
    }


def _columns(
    table: str, rows: Sequence[InstanceRow] | Sequence[Sample], key: dict[str, Any]
) -> pa.Table:
    """Column by column, which for 100,000 rows is many times faster than row by row."""
    schema = schema_of(table)
    if not rows:
        return schema.empty_table()
    columns = [
        pa.repeat(pa.scalar(key[name], schema.field(name).type), len(rows))
        if name in key
        else pa.array(list(map(attrgetter(name), rows)), schema.field(name).type)
        for name in schema.names
    ]
    return pa.Table.from_arrays(columns, schema=schema)
