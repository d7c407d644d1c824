"""What the capacity calculator asks of a dataset, which stays open between two changes of the form."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import quantities
from analysis.capacity import figures, mix_shown, shown, words
from analysis.capacity.answer import Answer, Plan
from analysis.capacity.answering import answer
from analysis.capacity.demand import Demand
from analysis.capacity.mix import Mix
from analysis.capacity.money import money
from analysis.cells import variant_name
from analysis.dataset import Dataset, open_dataset
from analysis.host_classes import host_classes
from orchestrator.cli.serving.answers import stamp_of
from orchestrator.cli.serving.capacity_form import FormSource

QUANTILES = ("p50", "p90", "p95")


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
        "plans": [
            *(_mixed(mix) for mix in found.mixes),
            *(_plan(plan, alone=bool(found.mixes)) for plan in words.best(found.plans)),
        ],
        "tables": shown.tables(found),
    }


def _plan(plan: Plan, *, alone: bool) -> dict[str, Any]:
    """The head figures of a plan of one shape."""
    reserved = ", by what is reserved" if plan.basis == "guaranteed" else ""
    hosts, measured = words.hosts(plan.recommended), words.hosts(plan.hosts_measured)
    quantiles = ", ".join(f"{name.upper()} {words.hosts(plan.hosts[name])}" for name in QUANTILES)
    binding = plan.binding.name if plan.binding else "nothing"
    return {
        "what": f"{plan.shape} as {plan.variant}{reserved}{', on hosts of its own' if alone else ''}",
        "of": plan.host_class,
        "hosts": hosts,
        "about": f"{plan.host_class}; bound by {binding}; {quantiles}",
        "measured": measured if measured != hosts else "",
        "price": money(plan.price) if plan.price is not None else "",
        "infeasible": " ".join(plan.infeasible),
    }


def _mixed(mix: Mix) -> dict[str, Any]:
    """The head figures of a plan of all shapes on shared hosts."""
    planned = mix.plan is not None and not mix.infeasible
    chance = f"falls short in {quantities.share(mix.shortfall)} of the draws"
    return {
        "what": f"All shapes on shared hosts, {mix_shown.variants(mix)}",
        "of": "any of these hosts",
        "hosts": quantities.count(sum(mix.hosts.values())),
        "about": f"{_each(mix.hosts)}{f'; spare: {_each(mix.spares)}' if mix.spares else ''}; {chance}",
        "measured": "",
        "price": money(mix.cost) if planned and mix.plan is not None and mix.plan.priced else "",
        "infeasible": " ".join(mix.infeasible) if not planned else "",
    }


def _each(hosts: Mapping[str, int]) -> str:
    return quantities.listed([f"{quantities.count(n)} {name}" for name, n in hosts.items() if n], 9)
