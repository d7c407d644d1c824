"""Results of others as datasets: files are read as a mapping describes them, and written as gathered ones."""

from enum import StrEnum


class Form(StrEnum):
    """What the files of others may be."""

    COLUMNS = "columns"
    HYPERFINE = "hyperfine"
    INCUS = "incus-benchmark"
