"""A comparison as one JSON document, for scripts."""

import math
from typing import Any

from analysis.compare import words
from analysis.compare.comparison import COMPARISON_FIELDS, Comparison


def as_document(found: Comparison, a: str, b: str) -> dict[str, Any]:
    """Summary, rows with the columns of the exported table, and everything that is said beside them."""
    names = [field.name for field in COMPARISON_FIELDS]
    counts = {word: sum(r["verdict"] == word for r in found.rows) for word in words.WORDS}
    return {
        "a": a,
        "b": b,
        "summary": words.summary(found),
        "verdicts": counts,
        "rows": [{name: _plain(row.get(name)) for name in names} for row in found.rows],
        "alone": list(found.alone),
        "differs": [{"fact": d.fact, "a": d.a, "b": d.b} for d in found.differs],
        "notes": [*found.notes, *words.method(found)],
        "floor": found.options.floor,
        "run_drift": found.options.drift,
    }


def _plain(value: Any) -> Any:
    """JSON has no infinity: a quantile among failures is ``inf``."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
