"""What the capacity calculator asks of a dataset, which stays open between two changes of the form."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.capacity import figures, shown, words
from analysis.capacity.answer import Answer, Plan
from analysis.capacity.answering import answer
from analysis.capacity.demand import Demand
from analysis.capacity.money import money
from analysis.cells import variant_name
from analysis.dataset import Dataset, open_dataset
from analysis.host_classes import host_classes
from orchestrator.cli.serving.answers import stamp_of
from orchestrator.cli.serving.capacity_form import FormSource


@dataclass(frozen=True)
class Measured:
    """What the form offers of a dataset."""

    classes: tuple[str, ...]
    variants: tuple[str, ...]


class Calculator:
    """One dataset at a time, one question at a time."""

    def __init__(self) -> None:
        self._opened: Dataset | None = None
        self._stamp: object = None
        self._lock = threading.Lock()

    def measured(self, path: Path) -> Measured:
        """Classes of hosts, and variants with trials of density. Raises DatasetError."""
        with self._lock:
            dataset = self._open(path)
            rows = [row for row in dataset.trials() if row["experiment"] == "density"]
            variants = sorted({variant_name(row["driver"], row["profile"]) for row in rows})
            return Measured(tuple(one.name for one in host_classes(dataset)), tuple(variants))

    def work_out(self, path: Path, demand: Demand, source: FormSource) -> dict[str, Any]:
        """The answer, as the page shows it. Raises CampaignError, DatasetError, UseError."""
        with self._lock:
            found = answer(self._open(path), demand, source)
        drawn = figures.shortfall(found)
        return shown_of(found) | {"text": source.text, "figures": [drawn] if drawn is not None else []}

    def _open(self, path: Path) -> Dataset:
        stamp = stamp_of(path)
        if self._opened is None or stamp != self._stamp:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
            self._opened, self._stamp = open_dataset(path), stamp
        return self._opened

    def close(self) -> None:
        """Let go of the dataset."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def shown_of(found: Answer) -> dict[str, Any]:
    """An answer in the words and tables of the report."""
    return {
        "found": found,
        "summary": words.summary(found),
        "cautions": words.caveats(found),
        "plans": [_plan(plan) for plan in words.best(found.plans)],
        "tables": shown.tables(found),
    }


def _plan(plan: Plan) -> dict[str, Any]:
    """The head figures of a plan."""
    reserved = ", by what is reserved" if plan.basis == "guaranteed" else ""
    return {
        "what": f"{plan.shape} as {plan.variant}{reserved}",
        "of": plan.host_class,
        "hosts": words.hosts(plan.recommended),
        "quantiles": {name.upper(): words.hosts(plan.hosts[name]) for name in ("p50", "p90", "p95")},
        "measured": words.hosts(plan.hosts_measured),
        "binding": plan.binding.name if plan.binding else "nothing",
        "price": money(plan.price) if plan.price is not None else "",
        "infeasible": " ".join(plan.infeasible),
    }
