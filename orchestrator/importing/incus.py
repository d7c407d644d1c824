"""CSV of ``incus-benchmark --report-file`` (and lxd-benchmark): one row per run of the tool.

Its columns are a subset of JMeter's: timeStamp (ms since 1970, taken when the run was over), elapsed (ms
of the whole run, cut to whole ones), label, responseCode (always empty) and success (always ``true``: a
run that fails writes no row). There is no time of a single instance in it.
"""

import csv

from contract.errors import SourceError
from orchestrator.importing.collecting import Collection, Observation, Said, SourceFile, cell_of
from orchestrator.importing.mapping import IncusMapping, LabelEntry

COLUMNS = ("timeStamp", "elapsed", "label", "responseCode", "success")
_KNOWN = {
    "launch": LabelEntry(stage="e2e"),
    "start": LabelEntry(stage="e2e"),
    "init": LabelEntry(stage="create"),
    "stop": LabelEntry(stage="exit"),
    "delete": LabelEntry(stage="delete"),
}
"""What the tool writes as label unless ``--report-label`` says otherwise: the action."""
_MOST_MS = 9_000_000_000_000
"""The year 2255: what is later does not fit a time in nanoseconds."""


def read_incus(source: SourceFile, mapping: IncusMapping, into: Collection) -> None:
    """Put all rows of one file into the collection, each as a block of its own.

    Raises SourceError with file, line, what was found and what is allowed.
    """
    labels = _KNOWN | mapping.labels_of_rows
    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            head = next(rows, [])
            if tuple(head) != COLUMNS:
                raise SourceError(
                    f"{source.path}:1: found {','.join(head)!r:.80}; allowed: {','.join(COLUMNS)}"
                )
            count = 0
            for row in rows:
                if row:
                    _take(f"{source.path}:{rows.line_num}", row, labels, (source, mapping, into))
                    count += 1
    except OSError as error:
        raise SourceError(f"{source.path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{source.path}: cannot be read as CSV: {error}") from error
    if not count:
        raise SourceError(f"{source.path}: no row under its header")


def _take(
    where: str,
    row: list[str],
    labels: dict[str, LabelEntry],
    place: tuple[SourceFile, IncusMapping, Collection],
) -> None:
    source, mapping, into = place
    if len(row) != len(COLUMNS):
        raise SourceError(f"{where}: columns: found {len(row)}; allowed: {len(COLUMNS)}")
    stamp, elapsed, label, _, success = row
    if label not in labels:
        raise SourceError(
            f"{where}: label: found {label!r}; allowed: {', '.join(labels)}, or what the mapping's "
            "'labels_of_rows' names"
        )
    if success not in ("true", "false"):
        raise SourceError(f"{where}: success: found {success!r}; allowed: true or false")
    said = labels[label]
    cell = cell_of(
        mapping,
        Said(str(mapping.host), said.driver or mapping.driver, said.profile or mapping.profile),
        {"action": label, "batch": mapping.count, "concurrency": mapping.parallel},
    )
    took_ms, over_ms = _milliseconds(where, "elapsed", elapsed), _milliseconds(where, "timeStamp", stamp)
    failed = None if success == "true" else "success: false"
    observation = Observation(((said.stage, None if failed else took_ms * 1_000_000),), failed)
    into.add(cell, into.next_block(cell), observation, source, (over_ms - took_ms) * 1_000_000)


def _milliseconds(where: str, name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_MS:
        raise SourceError(
            f"{where}: {name}: found {text!r:.60}; allowed: a whole number of milliseconds"
        )
    return int(text)
