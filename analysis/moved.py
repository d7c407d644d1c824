"""Bytes that deployments move: counted per cell, set against a cold host, shown and said in words."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from analysis import quantities
from analysis.cells import Cells
from analysis.latency import CELL_FIELDS, SCOPE_FIELDS, describe, scopes
from analysis.scopes import Scope
from analysis.section import Field, ShownTable
from analysis.shown import MOST_ROWS, Row, key_of, marked
from analysis.words import MOST_SENTENCES
from contract.trial import canonical_json

_WIRE, _DISK, _LAYERS = (
    "deployment.bytes_wire",
    "deployment.bytes_disk",
    "deployment.layers_pulled",
)
_WHAT = {_WIRE: "bytes on the wire", _DISK: "bytes on disk", _LAYERS: "layers that came"}

MOVED_FIELDS = (
    *SCOPE_FIELDS,
    Field("metric", "string", "what was counted"),
    Field("n", "Int64", "deployments that it is known of"),
    Field("least", "Float64", "smallest value; bytes, or layers"),
    Field("median", "Float64", "median"),
    Field("most", "Float64", "largest value"),
)

CHANGE_FIELDS = (
    *CELL_FIELDS,
    Field("cold_bytes", "Float64", "median bytes on the wire when the host had nothing of the image"),
    Field("change_bytes", "Float64", "median when it had everything but the change"),
    Field("delta_ratio", "Float64", "change_bytes / cold_bytes"),
    Field("cold_disk_bytes", "Float64", "median bytes kept, from nothing"),
    Field("change_disk_bytes", "Float64", "median bytes kept, for the change"),
    Field("cold_ns", "Float64", "median time to pull from nothing, ns; inf when most failed"),
    Field("change_ns", "Float64", "median time to pull the change, ns"),
    Field("cold_deploy_ns", "Float64", "median time to deploy from nothing, ns"),
    Field("change_deploy_ns", "Float64", "median time to deploy the change, ns"),
)

PUSH_FIELDS = (
    Field("variant", "string", "driver, and profile where it is not the default"),
    Field("conditions", "string", "what tells the cell from others of its variant"),
    Field("host", "string", "host that pushed"),
    Field("block", "Int64", "block of the trial"),
    Field("push_ns", "Float64", "how long the push took, ns"),
    Field("bytes_pushed", "Float64", "what was sent; the registry had the rest"),
)


def moved_rows(cells: Cells) -> list[dict[str, Any]]:
    """Least, median and most of every count in every cell."""
    members = [m for m in cells.memberships if m.role == "timed"]
    pairs = [
        (m.trial_id, m.cell, number)
        for m in members
        for number, scope in enumerate(cells.scopes)
        if cells.counts(m.cell, scope, m.host)
    ]
    names = {"trial_id": pa.string(), "cell": pa.int32(), "scope": pa.int32()}
    columns = zip(*pairs, strict=True) if pairs else ((), (), ())
    table = pa.table(
        {
            name: pa.array(column, kind)
            for (name, kind), column in zip(names.items(), columns, strict=True)
        }
    )
    found: dict[tuple[int, Scope], list[dict[str, Any]]] = {}
    for row in _counted(cells, table):
        found.setdefault((row["cell"], cells.scopes[row.pop("scope")]), []).append(row)
    return [
        row | describe(cells, cell, scope)
        for cell in cells.cells
        for scope in scopes(cells, cell)
        for row in found.get((cell.index, scope), [])
    ]


def _counted(cells: Cells, members: pa.Table) -> list[dict[str, Any]]:
    metrics = ", ".join(f"'{metric}'" for metric in _WHAT)
    sql = f"""
        SELECT m.cell, m.scope, s.metric, count(*) AS n, min(s.value) AS least,
            quantile_disc(s.value, 0.5) AS median, max(s.value) AS most
        FROM samples s JOIN members m USING (trial_id)
            JOIN instances i ON i.trial_id = s.trial_id AND i.instance = s.instance
        WHERE s.experiment = $experiment AND i.experiment = $experiment AND NOT i.warm_up
            AND s.metric IN ({metrics}) AND s.value IS NOT NULL
        GROUP BY ALL ORDER BY ALL
    """  # noqa: S608 - built of this module's own text
    return cells.dataset.rows(sql, {"experiment": cells.experiment}, members=members)


def push_rows(cells: Cells) -> list[dict[str, Any]]:
    """Every push that was measured: one per trial that had something to push."""
    sql = """
        SELECT m.cell, m.host, m.block,
            max(s.value) FILTER (WHERE s.metric = 'deployment.push') AS push_ns,
            max(s.value) FILTER (WHERE s.metric = 'deployment.bytes_pushed') AS bytes_pushed
        FROM samples s JOIN members m USING (trial_id)
        WHERE s.experiment = $experiment
            AND s.metric IN ('deployment.push', 'deployment.bytes_pushed')
        GROUP BY m.cell, m.host, m.block, m.trial_id ORDER BY ALL
    """
    rows = cells.dataset.rows(sql, {"experiment": cells.experiment}, members=cells.table("timed"))
    return [
        row
        | {
            "variant": cell.variant,
            "conditions": cells.condition(cell),
            "host": cells.hosts[row["host"]],
        }
        for row in rows
        for cell in [cells.cells[row["cell"]]]
    ]


def change_rows(moved: Sequence[Row], times: Sequence[Row]) -> list[dict[str, Any]]:
    """What a small change costs beside the whole image: cells that differ in nothing but the cache."""
    counts = {(key_of(r), r["metric"]): r for r in moved if r["scope"] == "fleet"}
    took = {
        (key_of(r), r["metric"]): r["p50_ns"]
        for r in times
        if r["scope"] == "fleet" and r["basis"] == "all attempts"
    }
    found = []
    for (key, metric), cold in counts.items():
        other = _with_base(key)
        change = counts.get((other, _WIRE))
        if metric != _WIRE or other == key or change is None:
            continue
        disk = {name: counts.get((k, _DISK), {}).get("median") for name, k in _ends(key, other)}
        found.append(
            {field.name: cold[field.name] for field in CELL_FIELDS}
            | {
                "conditions": _without_cache(cold["conditions"]),
                "evidence": cold["evidence"] if cold["evidence"] == change["evidence"] else "suspect",
                "cold_bytes": cold["median"],
                "change_bytes": change["median"],
                "delta_ratio": change["median"] / cold["median"] if cold["median"] else None,
            }
            | {f"{name}_disk_bytes": value for name, value in disk.items()}
            | {f"{name}_ns": took.get((k, "pull")) for name, k in _ends(key, other)}
            | {f"{name}_deploy_ns": took.get((k, "deploy")) for name, k in _ends(key, other)}
        )
    return found


def _ends(cold: Any, change: Any) -> tuple[tuple[str, Any], ...]:
    return ("cold", cold), ("change", change)


def _with_base(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key of the same cell on a host that has the base; the key itself for any other cache."""
    driver, profile, params, *rest = key
    content = json.loads(params)
    if content.get("cache") != "image_cold":
        return key
    return driver, profile, canonical_json(content | {"cache": "base_cached"}), *rest


def _without_cache(conditions: str) -> str:
    parts = [part for part in conditions.split(", ") if not part.startswith("cache ")]
    return ", ".join(parts) or "same for all"


def shown_bytes(rows: Sequence[Row]) -> ShownTable | None:
    """What a deployment moved, per cell."""
    body = [
        (
            r["conditions"],
            marked(r),
            _WHAT[r["metric"]],
            quantities.count(r["n"]),
            *(_amount(r["metric"], r[name]) for name in ("least", "median", "most")),
        )
        for r in rows
        if r["scope"] == "fleet"
    ]
    heads = ("Conditions", "Variant", "What", "Deployments", "Least", "Median", "Most")
    caption = (
        "Bytes on the wire are exact. Bytes on disk are what the engine counts for its layers, or the "
        "blocks that a disk's files take, more than before the pull."
    )
    return _table("What was moved", caption, heads, body, "moved")


def shown_changes(rows: Sequence[Row]) -> ShownTable | None:
    """A one-line change beside the whole image."""
    body = [
        (
            r["conditions"],
            marked(r),
            quantities.size(r["cold_bytes"]),
            quantities.size(r["change_bytes"]),
            quantities.share(r["delta_ratio"]),
            quantities.duration(r["cold_ns"]),
            quantities.duration(r["change_ns"]),
            quantities.duration(r["cold_deploy_ns"]),
            quantities.duration(r["change_deploy_ns"]),
        )
        for r in rows
    ]
    heads = (
        *("Conditions", "Variant", "Whole image", "The change", "Share", "Pull of the whole"),
        *("Pull of the change", "Deploy the whole", "Deploy the change"),
    )
    caption = (
        "Medians on a host that had nothing of the image, and on one that had the release before it, "
        "which differs in 64 KiB."
    )
    return _table("What a small change costs", caption, heads, body, "changes")


def shown_pushes(rows: Sequence[Row]) -> ShownTable | None:
    """Pushes, each by itself: there are few."""
    body = [
        (
            r["conditions"],
            r["variant"],
            r["host"],
            quantities.count(r["block"]),
            quantities.size(r["bytes_pushed"]),
            quantities.duration(r["push_ns"]),
        )
        for r in rows
    ]
    heads = ("Conditions", "Variant", "Host", "Block", "Sent", "Took")
    caption = (
        "Trials that found the image in the registry pushed nothing. What it had is not sent again."
    )
    return _table("Pushes", caption, heads, body, "pushes")


def change_sentences(rows: Sequence[Row]) -> list[str]:
    """What a small change moves, and how long it takes, one sentence per variant and conditions."""
    said = []
    for r in rows[:MOST_SENTENCES]:
        given = "" if r["conditions"] == "same for all" else f" ({r['conditions']})"
        said.append(
            f"For a change of 64 KiB, {marked(r)}{given} moves {quantities.size(r['change_bytes'])} of "
            f"{quantities.size(r['cold_bytes'])} ({quantities.share(r['delta_ratio'])}), and pulls "
            f"within {quantities.duration(r['change_ns'])} instead of "
            f"{quantities.duration(r['cold_ns'])} (medians)."
        )
    return said


def _amount(metric: str, value: float) -> str:
    return quantities.count(value) if metric == _LAYERS else quantities.size(value)


def _table(
    title: str, caption: str, heads: tuple[str, ...], body: Sequence[tuple[str, ...]], full: str
) -> ShownTable | None:
    if not body:
        return None
    first = next((i for i, head in enumerate(heads) if head not in ("Conditions", "Variant")), 0)
    return ShownTable(
        title=title,
        caption=caption,
        columns=heads,
        rows=tuple(body[:MOST_ROWS]),
        numeric=tuple(i >= first and heads[i] not in ("What", "Host") for i in range(len(heads))),
        full=full,
        left_out=max(0, len(body) - MOST_ROWS),
    )
