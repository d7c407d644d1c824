"""Sentences of the diagnostics: what there is to say, and what was looked for in vain."""

import math
from collections.abc import Sequence

from analysis import quantities
from analysis.diagnostics.rows import ALL, ALPHA
from analysis.shown import Row, Tables
from analysis.statistics.diagnostics import FEWEST_IN_ORDER, FLOOR
from analysis.statistics.hosts import FEWEST_HOSTS

MOST_SENTENCES = 6
METHOD = (
    (
        "One number stands for each block of each host: a median, or in density a slope. Their "
        "logarithms, "
        "less each host's mean, are averaged over hosts into one course, because hosts share "
        "networks and "
        "registries. Drift is Kendall's τ of that course against time, its size Sen's slope; the "
        "first block "
        "is set against the others by Student's interval of one more block; the first instances "
        "of a trial "
        f"against the rest of it by a sign test over trials. All of it needs {FEWEST_IN_ORDER} "
        "blocks, the "
        "first instances 6 trials."
    ),
    (
        f"A host is an outlier among those of its class, at least {FEWEST_HOSTS}, when its "
        "modified z-score "
        "is beyond 3.5, its ratio beyond ±5 %, and Student's t against the hosts that are not so "
        "far makes "
        "it more than chance. Hosts agree about a comparison unless an analysis of variance of "
        "the blocks' "
        "ratios says otherwise. p-values are corrected for all tests of a kind in this report."
    ),
    (
        "Variance is that of logarithms, by an analysis of variance for nested designs: between hosts, "
        "between blocks of a host, within blocks. Measure more of where most of it is."
    ),
)


def notable(row: Row) -> bool:
    """Whether a sign is more than chance, and large enough to make a difference."""
    if row["p_adjusted"] is None or row["p_adjusted"] > ALPHA:
        return False
    return row["ratio"] is None or abs(math.log(row["ratio"])) > FLOOR


def sentences(tables: Tables) -> tuple[str, ...]:
    """What there is to say, the most telling first; nothing where nothing was found."""
    course = [row for row in tables["course"] if notable(row)]
    found = [
        *_drifts(course),
        *_outliers(tables["hosts"]),
        *_firsts(course),
        *_neighbours(course),
        *_agreement(tables["agreement"]),
    ]
    if len(found) > MOST_SENTENCES:
        more = quantities.plural(len(found) - MOST_SENTENCES, "more sign")
        found[MOST_SENTENCES:] = [f"The tables of this section hold {more} of this kind."]
    return tuple(found)


def in_vain(tables: Tables) -> tuple[str, ...]:
    """What was looked for and not found, or could not be looked for."""
    drifts = [row for row in tables["course"] if row["sign"] == "drift"]
    tested = [row for row in drifts if row["p_value"] is not None]
    hosts = [row for row in tables["hosts"] if row["z"] is not None]
    said = []
    if not tested:
        said.append(f"Drift could not be looked for: that needs {FEWEST_IN_ORDER} blocks.")
    elif not any(notable(row) for row in tested):
        said.append(f"No drift was found in {quantities.plural(len(tested), 'course')} of blocks.")
    if not hosts:
        said.append(f"Hosts could not be judged: that needs {FEWEST_HOSTS} hosts of one class.")
    elif not any(row["outlier"] for row in hosts):
        judged = quantities.plural(len({row["host"] for row in hosts}), "host")
        said.append(f"No outlier was found among {judged}.")
    compared = [row for row in tables["agreement"] if row["p_value"] is not None]
    if compared and not any(disagrees(row) for row in compared):
        of = quantities.plural(len(compared), "comparison")
        said.append(f"No host contradicts the others in {of}.")
    return tuple(said)


def _drifts(course: Sequence[Row]) -> list[str]:
    return [
        f"Drift: the {_series(row)} {_moves(row['ratio'])} from the first block to the last "
        f"(Kendall's τ {quantities.digits(row['strength'], 2)}, p {chance(row['p_adjusted'])}). Look "
        "for what fills up or warms up, and compare variants only within blocks."
        for row in _broadest(course, "drift")
    ]


def _firsts(course: Sequence[Row]) -> list[str]:
    drifting = {_measure(row) for row in course if row["sign"] == "drift"}
    blocks = [r for r in _broadest(course, "first block") if _measure(r) not in drifting]
    found = [
        f"In the first block, the {_series(row)} was {_times(row)} that of the other blocks."
        for row in blocks
    ]
    return found + [
        f"At the beginning of each trial, the {_series(row)} was {_times(row)} that of the rest of it. "
        "More warm-ups would keep that out."
        for row in _broadest(course, "first instances")
    ]


def _neighbours(course: Sequence[Row]) -> list[str]:
    explained = {_measure(row) for row in course if row["sign"] in ("drift", "first block")}
    return [
        f"Blocks that follow each other resemble each other in the {_series(row)} (autocorrelation "
        f"{quantities.digits(row['strength'], 2)}, p {chance(row['p_adjusted'])}): intervals are too "
        "narrow. Spread blocks over more time."
        for row in _broadest(course, "neighbours")
        if _measure(row) not in explained
    ]


def _outliers(hosts: Sequence[Row]) -> list[str]:
    said = []
    names = dict.fromkeys(row["host"] for row in hosts if row["outlier"])
    for name in names:
        each = [
            f"{_experiment(row)} {quantities.ratio(row['ratio'])}"
            for row in hosts
            if row["outlier"] and row["host"] == name
        ]
        said.append(
            f"{name} is not like the other hosts of its class, against their median: "
            f"{quantities.listed(each)}. Find out why before its numbers count."
        )
    if len(said) > MOST_SENTENCES // 2:
        return [
            f"{len(said)} hosts are not like the others of their class: {quantities.listed([*names])}."
        ]
    return said


def _agreement(rows: Sequence[Row]) -> list[str]:
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if disagrees(row):
            alike.setdefault((*_measure(row), row["other"], row["baseline"]), []).append(row)
    return [_differing(some) for some in alike.values()]


def _differing(rows: Sequence[Row]) -> str:
    first, names = rows[0], dict.fromkeys(name for r in rows for name in r["against"].split(", "))
    least, most = min(r["ratio_least"] for r in rows), max(r["ratio_most"] for r in rows)
    given = _given(first) if len(rows) == 1 else f" under {len(rows)} conditions"
    return (
        f"Hosts do not agree about {first['other']} against {first['baseline']}, "
        f"{_experiment(first)}{given}: its ratio goes from {quantities.ratio_range(least, most)}. Not "
        f"like the others: {quantities.listed([*names])}."
    )


def disagrees(row: Row) -> bool:
    """Whether some hosts contradict the others about a comparison, by more than chance."""
    certain = row["p_adjusted"] is not None and row["p_adjusted"] <= ALPHA
    return certain and row["against"] is not None


def _broadest(course: Sequence[Row], sign: str) -> list[Row]:
    """Rows of a sign: that of all variants where it has one, else those of single cells."""
    rows = [row for row in course if row["sign"] == sign]
    broad = {_measure(row) for row in rows if row["variant"] == ALL}
    return [row for row in rows if row["variant"] == ALL or _measure(row) not in broad]


def _measure(row: Row) -> tuple[str, str]:
    return row["experiment"], row["measure"]


def _experiment(row: Row) -> str:
    return f"{row['measure']} ({row['experiment']})"


def _series(row: Row) -> str:
    of = "of all variants together" if row["variant"] == ALL else f"of {row['variant']}{_given(row)}"
    return f"{_experiment(row)} {of}"


def _given(row: Row) -> str:
    same = row["conditions"] in (None, "same for all")
    return "" if same else f" with {row['conditions']}"


def _moves(ratio: float) -> str:
    if ratio > 2:
        return f"grows {quantities.ratio(ratio)}"
    by = quantities.digits(100 * abs(ratio - 1), 2)
    return f"rises by {by} %" if ratio > 1 else f"falls by {by} %"


def _times(row: Row) -> str:
    between = quantities.ratio_range(row["ratio_low"], row["ratio_high"])
    return f"{quantities.ratio(row['ratio'])} (95 % interval {between})"


def chance(p_value: float | None) -> str:
    """A p-value as a person reads it."""
    if p_value is None:
        return quantities.NOT_AVAILABLE
    return "< 0.001" if p_value < 0.001 else quantities.digits(p_value, 2)
