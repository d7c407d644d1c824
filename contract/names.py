"""Which names there may be: they become names of files, queues and labels."""

import re

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")


def plain_name(name: str) -> str:
    """The name itself. Raises ValueError, saying what is allowed, for one that is not plain."""
    if not _NAME.fullmatch(name):
        raise ValueError("1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends")
    return name
