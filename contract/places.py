"""Places that all hosts of a fleet reach: what may stand in a campaign's ``results``."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlsplit

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


def lies_in(place: str, root: str) -> bool:
    """Whether a place is another one or lies in it, both as ``check_place`` has let them pass.

    Links of folders are followed. Parameters of S3 must be the same: they say whose service it is.
    """
    if place.startswith("/") or root.startswith("/"):
        both = place.startswith("/") and root.startswith("/")
        return both and Path(place).resolve().is_relative_to(Path(root).resolve())
    inner, outer = urlsplit(place), urlsplit(root)
    if ".." in inner.path.split("/"):
        return False
    same = inner.netloc == outer.netloc and sorted(parse_qsl(inner.query)) == sorted(
        parse_qsl(outer.query)
    )
    beneath = PurePosixPath("/", inner.path).is_relative_to(PurePosixPath("/", outer.path))
    return same and beneath
