"""Places that all hosts of a fleet reach: what may stand in a campaign's ``results``."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from contract.plain_text import plain_line

_FORM = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=/-]*)?(\?[A-Za-z0-9._=&:/-]*)?")
_PARAMETERS = ("region", "scheme", "endpoint_override")


def check_place(place: str) -> str:
    """The place of a campaign's ``results`` key, when it can be one. Raises ValueError that says how."""
    plain_line(place)
    if place.startswith("/"):
        if ".." in Path(place).parts:
            raise ValueError("an absolute path without '..'")
        return place
    if "@" in place:
        raise ValueError(
            "s3:// without keys: those belong into the environment of workers and coordinator"
        )
    if not _FORM.fullmatch(place):
        raise ValueError("an absolute path, or s3://BUCKET/PREFIX")
    given = {pair.partition("=")[0] for pair in urlsplit(place).query.split("&") if pair}
    if unknown := given - set(_PARAMETERS):
        raise ValueError(f"s3:// with {', '.join(_PARAMETERS)} only, not {', '.join(sorted(unknown))}")
    return place
