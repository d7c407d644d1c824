"""security: what instances have within reach, fact by fact, and what tells variants apart. No score."""

import json
from typing import Any

import pandas as pd

from analysis import latency, quantities, shown
from analysis import words as general
from analysis.cells import Cells, condition_words
from analysis.dataset import Dataset
from analysis.distributions import Reduction
from analysis.scopes import FLEET
from analysis.section import Field, Section, ShownTable, frame
from analysis.security import words
from analysis.security.differences import Difference, Pair, differences_of, pairs_of
from analysis.security.vectors import MEMBERS, Vector, vectors_of

EXPERIMENT = "security"

FIELDS = {
    "outcomes": latency.OUTCOME_FIELDS,
    "facts": (
        Field("fact", "string", "name of the fact"),
        Field("meaning", "string", "the same in words"),
        *latency.CELL_FIELDS,
        Field("value", "string", "JSON; missing where unknown, or where trials disagree"),
        Field("values", "string", "JSON: every different value with the number of trials that told it"),
        Field("said", "string", "the value in words"),
        Field("guest", "boolean", "about a kernel of the instance's own, not the host's"),
        Field("how", "string", "path or command that shows it; of an unknown one, why"),
        Field("trials", "Int64", "believed trials of the cell"),
        Field("known", "Int64", "of them, those that knew it"),
        Field("agreed", "boolean", "all that knew it told the same, or it changes by the moment"),
    ),
    "differences": (
        Field("conditions", "string", "what tells the cells from others of their variants"),
        Field("variant", "string", "one variant"),
        Field("other", "string", "what it is compared with"),
        Field("fact", "string", "name of the fact that is otherwise"),
        Field("value", "string", "of the variant, JSON"),
        Field("other_value", "string", "of the other, JSON"),
        Field("only", "string", "JSON list: of a list, what only the variant has"),
        Field("only_other", "string", "JSON list: what only the other has"),
        Field("undecided", "boolean", "trials of one side disagree"),
        Field("words", "string", "the difference in words"),
    ),
    "reasons": latency.REASON_FIELDS,
}

_ABOUT = (
    "Facts were seen from inside, by the same agent everywhere, and from outside, in the host's /proc "
    "and the engine's API. They are facts, not a score: how far something can be abused is not tried, "
    "and fewer of a thing is no proof of safety. Where an instance has a kernel of its own, what is "
    "seen inside is about that kernel; what stands between it and the host is its process there. System "
    "calls are those of one small workload, with nothing subtracted: what of the kernel was reached, "
    "not all that can be."
)
_MOST_SENTENCES = 8


def table(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Outcomes, facts, differences between variants, and reasons of failures."""
    reduction = Reduction(Cells(dataset, EXPERIMENT))
    vectors = vectors_of(reduction.cells)
    differences = [d for pair in pairs_of(reduction.cells, vectors) for d in differences_of(pair)]
    rows = {
        "outcomes": latency.outcome_rows(reduction),
        "facts": [row for vector in vectors for row in _fact_rows(reduction.cells, vector)],
        "differences": [_difference_row(reduction.cells, found) for found in differences],
        "reasons": latency.reason_rows(reduction),
    }
    return {name: frame(FIELDS[name], rows[name]) for name in FIELDS}


def section(dataset: Dataset, tables: dict[str, pd.DataFrame]) -> Section:
    """Summary and tables of security."""
    cells = Cells(dataset, EXPERIMENT)
    vectors = vectors_of(cells)
    pairs = pairs_of(cells, vectors)
    outcomes = [row for row in general.records(tables["outcomes"]) if row["scope"] == "fleet"]
    parts = (
        *(_facts_shown(cells, group) for group in _grouped(cells, vectors)),
        _differences_shown(cells, pairs),
        shown.reasons(general.records(tables["reasons"]), "Why instances were not looked at"),
    )
    return Section(
        experiment=EXPERIMENT,
        title="What instances have within reach",
        summary=tuple(_sentences(pairs)),
        caveats=(
            *words.disagreements(vectors),
            *words.unknown(vectors),
            *general.doubtful(outcomes),
            *_emulated(vectors),
        ),
        conditions=condition_words(cells.constant),
        about=(_ABOUT,),
        parts=tuple(part for part in parts if part is not None),
    )


def _fact_rows(cells: Cells, vector: Vector) -> list[dict[str, Any]]:
    scope = latency.describe(cells, vector.cell, FLEET)
    return [
        scope
        | {
            "fact": name,
            "meaning": words.label(name),
            "value": _json(fact.value),
            "values": _json([{"value": value, "trials": trials} for value, trials in fact.distinct]),
            "said": words.merged(fact),
            "guest": fact.guest,
            "how": fact.how,
            "trials": fact.trials,
            "known": len(fact.told),
            "agreed": fact.agreed,
        }
        for name, fact in sorted(vector.facts.items(), key=lambda item: words.place(item[0]))
    ]


def _difference_row(cells: Cells, found: Difference) -> dict[str, Any]:
    return {
        "conditions": cells.condition(found.pair.variant.cell),
        "variant": found.pair.variant.cell.variant,
        "other": found.pair.other.cell.variant,
        "fact": found.name,
        "value": _json(found.fact.value),
        "other_value": _json(found.other_fact.value),
        "only": _json(list(found.only)),
        "only_other": _json(list(found.only_other)),
        "undecided": found.undecided,
        "words": words.difference(found),
    }


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _grouped(cells: Cells, vectors: list[Vector]) -> list[list[Vector]]:
    """Vectors under the same conditions."""
    of_cell = {vector.cell.index: vector for vector in vectors}
    groups = [[of_cell[c.index] for c in group if c.index in of_cell] for group in cells.groups()]
    return [group for group in groups if group]


def _facts_shown(cells: Cells, group: list[Vector]) -> ShownTable | None:
    """A row per fact, a column per variant, and what shows it. Of the engine's, those that differ."""
    names = sorted({name for vector in group for name in vector.facts}, key=words.place)
    body = []
    for name in names:
        told = [words.merged(vector.facts.get(name)) for vector in group]
        if name.startswith(f"{MEMBERS}.") and len(set(told)) == 1:
            continue
        how = next(v.facts[name].how for v in [*_knowing(group, name), *group] if name in v.facts)
        body.append((words.label(name), *told, how))
    marked = [
        shown.marked({"variant": v.cell.variant, "evidence": cells.evidence[v.cell.index, FLEET]})
        for v in group
    ]
    condition = cells.condition(group[0].cell)
    under = "" if condition == "same for all" else f" ({condition})"
    caption = (
        f"n/a: not known. {words.GUEST[0].upper()}{words.GUEST[1:]}: seen inside an instance whose "
        "kernel is not the host's. Long lists are cut; the exported table has them whole."
    )
    heads = ("Fact", *marked, "Seen by")
    return shown.assemble(f"Facts{under}", caption, heads, body, "facts")


def _knowing(group: list[Vector], name: str) -> list[Vector]:
    return [vector for vector in group if name in vector.facts and vector.facts[name].known]


def _differences_shown(cells: Cells, pairs: list[Pair]) -> ShownTable | None:
    body = [
        (
            cells.condition(pair.variant.cell),
            f"{pair.variant.cell.variant} against {pair.other.cell.variant}",
            words.difference(found),
        )
        for pair in pairs
        if pair.leading
        for found in sorted(differences_of(pair), key=lambda d: words.place(d.name))
    ]
    caption = (
        "Drivers as they come against each other, and profiles against their driver as it comes; the "
        "exported table holds all pairs. Facts that one of the two does not know are left out."
    )
    return shown.assemble(
        "What differs", caption, ("Conditions", "Which", "Difference"), body, "differences"
    )


def _sentences(pairs: list[Pair]) -> list[str]:
    leading = [pair for pair in pairs if pair.leading]
    if not leading:
        return ["There is nothing to compare: no two variants were looked at under the same conditions."]
    said = [
        words.sentence(pair, sorted(differences_of(pair), key=lambda d: words.place(d.name)))
        for pair in leading[:_MOST_SENTENCES]
    ]
    if len(leading) > _MOST_SENTENCES:
        more = quantities.plural(len(leading) - _MOST_SENTENCES, "further pair")
        said.append(f"The table of differences holds {more}.")
    return said


def _emulated(vectors: list[Vector]) -> list[str]:
    names = sorted({v.cell.variant for v in vectors if v.cell.emulated})
    virtual = sorted({v.cell.variant for v in vectors if v.cell.virtual})
    found = []
    if names:
        found.append(
            f"{quantities.listed(names)}: under an emulated CPU. With hardware support the machine's "
            "process makes other system calls, and opens /dev/kvm."
        )
    if virtual:
        found.append(f"{quantities.listed(virtual)}: simulated, nothing of it is real.")
    return found
