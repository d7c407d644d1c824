"""Places that a fleet shares: what may be named, and that parts come back as they went in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import s3_server
from trials import make_part, make_trial

from contract.errors import PartError, ResultsError
from contract.places import check_place
from contract.shared_parts import SharedParts, shared_parts

PACKED = [make_part(make_trial(block=block)) for block in range(3)]


@pytest.mark.parametrize(
    "place", ["/mnt/shared", "s3://bucket", "s3://my.bucket/a/b=c", "s3://b-1/x?region=eu-1&scheme=http"]
)
def test_what_may_be_a_place(place: str) -> None:
    assert check_place(place) == place


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("results", "an absolute path, or s3://BUCKET/PREFIX"),
        ("/mnt/../etc", "without '..'"),
        ("s3://KEY:SECRET@bucket/x", "without keys"),
        ("s3://", "s3://BUCKET/PREFIX"),
        ("https://bucket/x", "s3://BUCKET/PREFIX"),
        ("s3://bucket/x?access_key=1", "not access_key"),
    ],
)
def test_what_may_not(place: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_place(place)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3_server() as place:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        yield place


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "folder" else str(request.getfixturevalue("s3"))


def test_parts_come_back_as_they_went_in(place: str) -> None:
    parts: SharedParts = shared_parts(place, "sample")
    assert parts.list() == {}
    for packed in PACKED:
        parts.put(packed.name, packed.data)
        parts.put(packed.name, packed.data)
    assert parts.list() == {packed.receipt.trial_id: (1,) for packed in PACKED}
    assert parts.get(PACKED[0].name) == PACKED[0].data
    assert shared_parts(place, "other").list() == {}
    with pytest.raises(PartError, match="there is no"):
        shared_parts(place, "other").get(PACKED[0].name)


def test_a_place_that_does_not_answer_says_so(tmp_path: Path, s3: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        shared_parts(str(tmp_path / "file"), "sample").put(PACKED[0].name, PACKED[0].data)
    gone = s3.replace("s3://parts", "s3://gone")
    with pytest.raises(ResultsError, match="s3://gone/some/prefix: a part cannot be written"):
        shared_parts(gone, "sample").put(PACKED[0].name, PACKED[0].data)
