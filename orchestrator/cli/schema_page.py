"""The published schema as rows and as a page, read from what the code declares."""

from dataclasses import asdict

from contract.metric_names import COORDINATOR_METRICS, WORKER_METRICS
from contract.tables import SCHEMA_VERSION, TABLES


def tables_rows() -> list[dict[str, object]]:
    """Every column of every table."""
    return [
        {
            "table": table,
            "column": column.name,
            "type": str(column.type),
            "nullable": column.nullable,
            "unit": column.unit,
            "meaning": column.meaning,
        }
        for table, columns in TABLES.items()
        for column in columns
    ]


def tables_page() -> str:
    """The tables as Markdown."""
    lines = [f"Schema version {SCHEMA_VERSION}.", ""]
    for table in TABLES:
        lines += [
            f"### `{table}`",
            "",
            "| column | type | null | unit | meaning |",
            "|---|---|---|---|---|",
        ]
        for row in tables_rows():
            if row["table"] == table:
                null = "yes" if row["nullable"] else ""
                lines.append(
                    f"| `{row['column']}` | {row['type']} | {null} | {row['unit']} | {row['meaning']} |"
                )
        lines.append("")
    return "\n".join(lines)


def metrics_rows() -> list[dict[str, object]]:
    """Every metric that experiments and the sampler emit."""
    from workers.discover import build_catalog
    from workers.sampler import METRICS

    rows = [{"emitted_by": "every trial"} | asdict(metric) for metric in METRICS]
    for experiment in build_catalog().experiments.values():
        rows += [{"emitted_by": experiment.name} | asdict(metric) for metric in experiment.metrics]
    return rows


def prometheus_rows() -> list[dict[str, object]]:
    """Every metric that workers and coordinators show to Prometheus."""
    sides = {"worker": ("host", WORKER_METRICS), "coordinator": ("campaign", COORDINATOR_METRICS)}
    return [
        {
            "side": side,
            "name": metric.name,
            "kind": metric.kind,
            "labels": [owner, *metric.labels],
            "meaning": metric.meaning,
        }
        for side, (owner, metrics) in sides.items()
        for metric in metrics
    ]


def prometheus_page() -> str:
    """The metrics of the Prometheus endpoints as Markdown."""
    lines = []
    for side in ("worker", "coordinator"):
        lines += [f"### Of a {side}", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        for row in prometheus_rows():
            if row["side"] == side:
                labels = row["labels"]
                assert isinstance(labels, list)
                named = ", ".join(f"`{label}`" for label in labels)
                lines.append(f"| `{row['name']}` | {row['kind']} | {named} | {row['meaning']} |")
        lines.append("")
    return "\n".join(lines)


def metrics_page() -> str:
    """The metrics as Markdown."""
    lines = ["| metric | emitted by | unit | better | meaning |", "|---|---|---|---|---|"]
    for row in metrics_rows():
        cells = (f"`{row['name']}`", row["emitted_by"], row["unit"], row["better"], row["meaning"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
