"""A comparison as a comment on a pull request."""

from analysis.compare import words
from analysis.compare.comparison import Comparison
from analysis.markdown import escaped, folded, table_lines


def as_markdown(found: Comparison, a: str, b: str) -> str:
    """The whole comparison; ``a`` and ``b`` say what was compared."""
    shown, rest = words.shown_and_rest(found.rows)
    lines = [
        "### Tonnage: comparison",
        "",
        f"A, the baseline: {escaped(a)}. B: {escaped(b)}.",
        "",
        f"**{escaped(words.summary(found))}**",
        "",
    ]
    if shown:
        lines += [*table_lines(words.COLUMNS, [words.cells_of(row) for row in shown]), ""]
    if rest:
        others = list(table_lines(words.COLUMNS, [words.cells_of(row) for row in rest]))
        lines += [*folded(f"Stages and tails: {len(rest)} more", others), ""]
    if found.differs:
        facts = [(d.fact, d.a, d.b) for d in found.differs]
        lines += ["What differs besides:", "", *table_lines(("fact", "A", "B"), facts), ""]
    said = [*found.alone, *found.notes, *words.method(found)]
    lines += [f"- {escaped(sentence)}" for sentence in said]
    return "\n".join(lines) + "\n"
