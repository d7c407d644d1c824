"""All benchmarks by one command, from the top of the sources:

    python tests/bench/run.py                     # all of them, full size
    python tests/bench/run.py cli dispatch        # two
    python tests/bench/run.py --list
    python tests/bench/run.py --against docs/performance.json --json now.json

Every figure is printed with its limit in the same run, their ratio and the budget.

Exit codes: 0 all budgets kept, 1 one is not, 2 no such benchmark, 3 one could not be measured.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / place) for place in ("", "tests", "tests/bench", "tests/analysis")]

from figure import Figure, Size  # noqa: E402
from performance_page import in_page, row_of  # noqa: E402


def names() -> list[str]:
    """Benchmarks there are: every module in tests/bench/speed."""
    return sorted(p.stem for p in (ROOT / "tests/bench/speed").glob("*.py") if p.stem != "__init__")


def module_of(name: str) -> Any:
    """The module of a benchmark."""
    return importlib.import_module(f"speed.{name}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "mem_gib": round(memory / 2**30, 1),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def measure(name: str, size: Size) -> dict[str, Any]:
    """One benchmark with its figures, printed as they come. ``error`` is there when it broke off."""
    module = module_of(name)
    title = (module.__doc__ or name).splitlines()[0]
    print(f"\n{name}: {title}", flush=True)
    begun, figures, error = time.monotonic(), [], None
    try:
        for figure in module.measure(size):
            figures.append(figure)
            print(f"  {said(figure)}", flush=True)
    except Exception as broken:
        traceback.print_exc()
        error = f"{type(broken).__name__}: {broken}"
    return {
        "benchmark": name,
        "title": title,
        "size": size,
        "machine": machine(),
        "seconds": round(time.monotonic() - begun, 1),
        "figures": [asdict(figure) for figure in figures],
        **({"error": error} if error else {}),
    }


def said(figure: Figure) -> str:
    """A figure on one line."""
    ratio = "" if figure.ratio is None else f", {figure.ratio:.2f} times {figure.limit_is}"
    budget = "" if figure.budget is None else f" (budget {figure.budget:g})"
    verdict = {None: "", True: " kept", False: " NOT KEPT"}[figure.keeps_budget]
    return f"{figure.case}: {figure.value:.4g} {figure.unit}{ratio}{budget}{verdict}"


def compared(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[str]:
    """A line for every figure that was measured before as well, with what became of it."""
    old = {(b["benchmark"], f["case"]): row_of(f) for b in before for f in b["figures"]}
    lines = []
    for benchmark in now:
        for figure in map(row_of, benchmark["figures"]):
            then = old.get((benchmark["benchmark"], figure.case))
            if then is None or not then.value:
                continue
            what = f"{benchmark['benchmark']}, {figure.case}"
            if figure.ratio is not None and then.ratio is not None:
                lines.append(f"{what}: ratio {then.ratio:.2f} before, {figure.ratio:.2f} now")
            else:
                lines.append(
                    f"{figure.case}: {then.value:.4g} before, {figure.value:.4g} {figure.unit} now"
                )
    return lines


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Benchmarks of Tonnage.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these benchmarks")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument(
        "--json", type=Path, help="write results here, adding to what the file holds of others"
    )
    parser.add_argument(
        "--against", type=Path, help="compare with these results, such as docs/performance.json"
    )
    parser.add_argument(
        "--markdown", type=Path, help="put the tables into this page, docs/performance.md"
    )
    return parser.parse_args()


def keep(path: Path, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put results into a file, in place of older ones of the same benchmarks; all that it then holds."""
    kept = json.loads(path.read_text()) if path.exists() else []
    new = {r["benchmark"] for r in results}
    merged = sorted(
        [*(r for r in kept if r["benchmark"] not in new), *results], key=lambda r: r["benchmark"]
    )
    path.write_text(json.dumps(merged, indent=1) + "\n")
    return merged


def main() -> int:
    """Run what was asked for."""
    given = arguments()
    unknown = [name for name in given.names if name not in names()]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    if given.list:
        for name in names():
            print(f"{name:12} {(module_of(name).__doc__ or '').splitlines()[0]}")
        return 0
    before = json.loads(given.against.read_text()) if given.against else []
    results = [measure(name, given.size) for name in given.names or names()]
    for line in compared(results, before):
        print(line)
    merged = keep(given.json, results) if given.json else results
    if given.markdown:
        given.markdown.write_text(in_page(given.markdown.read_text(), merged))
    if any("error" in r for r in results):
        return 3
    kept = [row_of(figure).keeps_budget for r in results for figure in r["figures"]]
    return 1 if False in kept else 0


if __name__ == "__main__":
    sys.exit(main())
