"""What shaped the numbers: facts of hosts, the common ones lifted out; why some trials are doubted."""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from analysis import quantities
from analysis.cells import variant_name
from analysis.dataset import Dataset
from contract.parts import IMPORTED

TRIALS_PER_HOST = 20
"""Trials of a host and variant whose facts are read: facts of a host seldom change."""
MOST_VALUE = 160
MOST_REASONS = 25
MOST_HOSTS_NAMED = 12

RESULTS = "findings"
"""Among a trial's facts: what its experiment found, which is a result and shapes nothing."""

_NO_FACTS = (RESULTS, IMPORTED)
"""What stands among a trial's facts and shapes no number; where imports come from is told by itself."""

_Origin = tuple[str, str]
"""Host and variant."""


@dataclass(frozen=True, slots=True)
class HostClass:
    """Hosts whose facts are all the same."""

    hosts: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of all hosts, each where it says most."""

    common: tuple[tuple[str, str], ...]
    """The same everywhere (or wherever it is known)."""
    of_variants: tuple[tuple[str, str], ...]
    """The same on all hosts for one variant: name with variant, value."""
    varying: tuple[str, ...]
    """Names of facts that differ between hosts: the columns of ``classes``."""
    classes: tuple[HostClass, ...]
    moving: tuple[tuple[str, str], ...]
    """Changed from trial to trial on the same host: name, range."""


def measured_again(rerun: str, campaign: str) -> str:
    """The command that measures everything once more, beside what there is, made of that for the rest.

    Imports are imported again by their own command.
    """
    words = shlex.split(rerun)
    if words[:2] != ["tonnage", "run"]:
        return rerun
    kept, rest = words[:2], iter(words[2:])
    for word in rest:
        if word == "--results":
            next(rest, None)
        elif word != "--retry-failed":
            kept.append(word)
    return shlex.join([*kept, "--results", f"results/{campaign}-again"])


def lift_facts(dataset: Dataset) -> Facts:
    """Sort the facts of a sample of trials by what they depend on."""
    seen: dict[str, dict[_Origin, set[str]]] = defaultdict(lambda: defaultdict(set))
    for origin, name, value in _observations(dataset):
        seen[name][origin].add(value)
    common, of_variants, moving = [], [], []
    by_host: dict[str, dict[str, str]] = {}
    for name, of_origin in sorted(seen.items()):
        every = set().union(*of_origin.values())
        hosts, variants = _merged(of_origin, 0), _merged(of_origin, 1)
        if len(every) == 1:
            common.append((_named(name), _shown(name, min(every))))
        elif all(len(values) == 1 for values in hosts.values()):
            by_host[_named(name)] = {host: _shown(name, min(values)) for host, values in hosts.items()}
        elif all(len(values) == 1 for values in variants.values()):
            of_variants += [
                (f"{_named(name)} ({v})", _shown(name, min(given))) for v, given in variants.items()
            ]
        elif all(len(values) == 1 for values in of_origin.values()):
            for (host, variant), values in of_origin.items():
                by_host.setdefault(f"{_named(name)} ({variant})", {})[host] = _shown(name, min(values))
        else:
            moving.append((_named(name), _range(name, every)))
    varying = tuple(by_host)
    return Facts(tuple(common), tuple(of_variants), varying, _classes(dataset, by_host), tuple(moving))


def _classes(dataset: Dataset, by_host: dict[str, dict[str, str]]) -> tuple[HostClass, ...]:
    hosts = dataset.query("SELECT DISTINCT host FROM trials ORDER BY 1").column(0).to_pylist()
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for host in hosts:
        alike[tuple(of.get(host, "not said") for of in by_host.values())].append(host)
    return tuple(
        HostClass(quantities.listed(names, MOST_HOSTS_NAMED), values) for values, names in alike.items()
    )


def trial_counts(dataset: Dataset) -> list[tuple[str, ...]]:
    """Trials per experiment, driver and profile, by outcome and verdict: rows ready to print."""
    sql = """
        SELECT experiment, driver, profile, outcome, verdict, count(*) AS trials,
            count(DISTINCT host) AS hosts
        FROM trials GROUP BY ALL ORDER BY ALL
    """
    return [
        (
            r["experiment"],
            variant_name(r["driver"], r["profile"]),
            r["outcome"],
            r["verdict"],
            quantities.count(r["trials"]),
            quantities.count(r["hosts"]),
        )
        for r in dataset.rows(sql)
    ]


def verdict_reasons(dataset: Dataset) -> tuple[list[tuple[str, ...]], int]:
    """Why trials are doubted or did not complete: rows ready to print, and how many are left out.

    Numbers within reasons are blanked, so that the same cause counts once.
    """
    sql = r"""
        WITH doubts AS (
            SELECT verdict, host, trial_id, unnest(reasons) AS reason
            FROM trials WHERE verdict <> 'valid'
        )
        SELECT verdict, regexp_replace(reason, '[0-9]+([.][0-9]+)?', 'N', 'g') AS cause,
            count(DISTINCT trial_id) AS trials, count(DISTINCT host) AS hosts, min(reason) AS example
        FROM doubts GROUP BY ALL ORDER BY trials DESC, verdict, cause
    """
    rows = dataset.rows(sql)
    shown: list[tuple[str, ...]] = [
        (
            r["verdict"],
            _cut(r["example"]),
            quantities.count(r["trials"]),
            quantities.count(r["hosts"]),
        )
        for r in rows[:MOST_REASONS]
    ]
    return shown, max(0, len(rows) - MOST_REASONS)


def verdict_totals(dataset: Dataset) -> Counter[str]:
    """Trials by verdict."""
    found = dataset.rows("SELECT verdict, count(*) AS n FROM trials GROUP BY ALL ORDER BY ALL")
    return Counter({row["verdict"]: row["n"] for row in found})


def extent(dataset: Dataset) -> dict[str, int]:
    """How much there is: hosts, blocks of a host at most, instance rows."""
    sql = """
        SELECT (SELECT count(DISTINCT host) FROM trials) AS hosts,
            (SELECT coalesce(max(block) + 1, 0) FROM trials) AS blocks,
            (SELECT count(*) FROM trials) AS trials,
            (SELECT count(*) FROM instances) AS instances
    """
    return dict(dataset.rows(sql)[0])


def _observations(dataset: Dataset) -> Iterator[tuple[_Origin, str, str]]:
    sql = f"""
        SELECT host, driver, profile, facts, versions FROM trials
        WINDOW alike AS (PARTITION BY host, driver, profile ORDER BY block, "order")
        QUALIFY row_number() OVER alike <= {TRIALS_PER_HOST}
        ORDER BY host, driver, profile
    """  # noqa: S608 - a number of this module
    for row in dataset.rows(sql):
        versions = {f"version_of_{key}": value for key, value in _flat(row["versions"])}
        for name, value in [*_flat(row["facts"]), *versions.items()]:
            if name in _NO_FACTS or name.startswith(tuple(f"{kind}." for kind in _NO_FACTS)):
                continue
            if not name.endswith("_version") or f"version_of_{name}" not in versions:
                yield (row["host"], variant_name(row["driver"], row["profile"])), name, value


def _flat(text: str, prefix: str = "") -> list[tuple[str, str]]:
    """The leaves of a JSON object with dotted names, values as JSON."""
    try:
        content = json.loads(text)
    except ValueError:
        return []
    found = []
    for key, value in content.items() if isinstance(content, dict) else ():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found += _flat(json.dumps(value), f"{name}.")
        else:
            found.append((name, json.dumps(value, sort_keys=True, ensure_ascii=False)))
    return found


def _merged(of_origin: dict[_Origin, set[str]], place: int) -> dict[str, set[str]]:
    """Values by host (0) or by variant (1) alone."""
    found: dict[str, set[str]] = defaultdict(set)
    for origin, values in of_origin.items():
        found[origin[place]] |= values
    return found


def _range(name: str, values: set[str]) -> str:
    decoded = [json.loads(value) for value in values]
    numbers = [value for value in decoded if isinstance(value, int | float)]
    if len(numbers) == len(decoded):
        return f"{_shown(name, json.dumps(min(numbers)))} to {_shown(name, json.dumps(max(numbers)))}"
    return f"{len(values)} different values"


def _named(name: str) -> str:
    return name.removeprefix("version_of_").replace("_bytes", "").replace("_", " ")


def _shown(name: str, value: str) -> str:
    decoded = json.loads(value)
    if isinstance(decoded, bool):
        return "yes" if decoded else "no"
    if decoded is None:
        return "not said"
    if isinstance(decoded, int | float) and name.endswith("bytes"):
        return quantities.size(decoded)
    if isinstance(decoded, list):
        return _cut(", ".join(str(item) for item in decoded) or "none")
    return _cut(str(decoded))


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MOST_VALUE else f"{flat[: MOST_VALUE - 1]}…"
