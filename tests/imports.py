"""Imports as a person asks for them: a mapping's text, files' texts, and the rows that come of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.dataset import open_dataset
from orchestrator.importing import Form
from orchestrator.importing.reading import Order, import_results
from orchestrator.importing.writing import Imported

INSTANCES = """
    SELECT t.driver, t.profile, t.host, t.params, t.block, i.*
    FROM instances i JOIN trials t USING (trial_id) ORDER BY t.driver, t.profile, t.block, i.instance
"""


@dataclass
class Importer:
    """A folder with sources, and one dataset beside it."""

    folder: Path
    form: Form = Form.COLUMNS

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def file(self, name: str, text: str) -> Path:
        path = self.folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, mapping: str | None, **files: str) -> Imported:
        """Import files, their names with ``_`` for the dot."""
        for name, text in files.items():
            self.file(name.replace("_", "."), text)
        path = None
        if mapping is not None:
            path = self.folder / "mapping.yaml"
            path.write_text(mapping)
        return import_results(Order((self.folder / "sources",), self.form, path, self.dataset))

    def rows(self, sql: str = INSTANCES) -> list[dict[str, Any]]:
        """What the dataset answers, once its manifest, schema and checksums are found in order."""
        with open_dataset(self.dataset) as opened:
            return opened.rows(sql)
