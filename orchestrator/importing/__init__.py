"""Results of others as datasets: read as a mapping describes them, written as gathered ones."""

from enum import StrEnum


class Form(StrEnum):
    """What the files of others may be."""

    COLUMNS = "columns"
    HYPERFINE = "hyperfine"
    INCUS = "incus-benchmark"
