"""What is kept of a dataset stays within its bound of memory."""

from dataclasses import dataclass

from analysis.kept import Kept


@dataclass(frozen=True)
class Thing:
    size_bytes: int


def test_what_was_not_asked_for_longest_goes_first():
    kept = Kept(100)
    a, b, c = Thing(40), Thing(41), Thing(42)
    kept.put("a", a)
    kept.put("b", b)
    assert kept.get("a") is a
    kept.put("c", c)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (a, None, c)


def test_one_thing_is_kept_however_large_it_is():
    kept = Kept(100)
    kept.put("small", Thing(1))
    kept.put("large", large := Thing(1000))
    assert (kept.get("small"), kept.get("large")) == (None, large)
    assert kept.get("never") is None
