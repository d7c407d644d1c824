"""The notebook reads a dataset with DuckDB and pandas alone. Its cells are run, without Jupyter."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulated_campaign import run_simulated

NOTEBOOK = Path(__file__).parents[1] / "docs/reading-a-dataset.ipynb"
OURS = ("contract", "workers", "orchestrator", "analysis")
CAMPAIGN = {
    "campaign": "notebook",
    "deadline_s": 3600,
    "blocks": 2,
    "profiles": {
        "quick": {"driver": "simulated", "start_ms": 10},
        "frail": {"driver": "simulated", "failure_share": 0.2},
    },
    "experiments": [
        {
            "experiment": "lifecycle",
            "drivers": ["quick", "frail"],
            "params": {"instances": 20, "concurrency": [1, 4]},
        },
        {"experiment": "density", "drivers": ["quick"], "params": {"max_instances": 20, "step": 5}},
        {
            "experiment": "recovery",
            "drivers": ["quick"],
            "params": {"injections": 3, "supervision": ["none", "watcher"]},
        },
    ],
}
RUNNER = """
import ast, json, sys
space = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] != "code":
        continue
    print("===", cell["id"])
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell["id"], "exec"), space)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), space)
        print(value._repr_html_() if hasattr(value, "_repr_html_") else value)
assert not {name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:])
print("=== all read")
"""
"""Every cell as Jupyter would run it: what its last line is worth is shown."""


def notebook() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text())
    return content


def run_cells(dataset: Path) -> dict[str, str]:
    """What each cell shows, by its id."""
    ran = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", RUNNER, str(NOTEBOOK), *OURS],
        env={"TONNAGE_DATASET": str(dataset), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("=== all read\n")
    shown = re.split(r"^=== (.*)\n", ran.stdout, flags=re.MULTILINE)
    return dict(zip(shown[1::2], shown[2::2], strict=True))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_simulated(tmp_path_factory.mktemp("notebook"), CAMPAIGN) / "dataset"


def test_every_section_shows_something(dataset: Path) -> None:
    shown = "\n".join(run_cells(dataset).values())
    assert "notebook holds density, lifecycle, recovery" in shown
    for expected in (
        "failed_share",
        "within ms",
        "MiB per instance",
        "still down",
        "quick, 4 at a time",
    ):
        assert expected in shown
    assert not re.search(r"\bnan\b|no staircases|no trials", shown, re.IGNORECASE)
    assert re.search(r"none - \d+ times, at last \d+% still down", shown)


def test_a_dataset_without_all_experiments_is_read_too(tmp_path: Path) -> None:
    from make_dataset import pair, write_dataset

    shown = "\n".join(run_cells(write_dataset(tmp_path / "d", pair(100, 120, blocks=2))).values())
    assert "no staircases in this dataset" in shown
    assert "docker/default" in shown


def test_it_is_a_clean_notebook() -> None:
    """What nbformat 4.5 asks for; and no outputs, which would grow old."""
    content = notebook()
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert set(content) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    identities = [cell["id"] for cell in content["cells"]]
    assert len(set(identities)) == len(identities)
    for cell in content["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            assert max(map(len, cell["source"])) <= 110
        else:
            assert set(cell) == {"cell_type", "id", "metadata", "source"}
            assert cell["cell_type"] == "markdown"


def test_its_links_lead_somewhere() -> None:
    text = "".join("".join(cell["source"]) for cell in notebook()["cells"])
    targets = re.findall(r"\]\(([\w.-]+)\)", text)
    assert targets
    assert all((NOTEBOOK.parent / target).is_file() for target in targets)
