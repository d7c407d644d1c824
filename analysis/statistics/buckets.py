"""Logarithmic buckets: what very many values are counted in, and how far off a value may be then."""

import math

import numpy as np
import numpy.typing as npt

from analysis.statistics.blocks import Floats

STEP = 0.001
"""Width of a bucket, on the natural logarithm."""
GRAIN = math.expm1(STEP / 2)
"""By what share of itself a value may be off."""
_ONE = 1_000_000
"""Number of the bucket around 1; that around −1 has it with a minus, and 0 is a bucket of its own."""
_LEAST, _MOST = 1e-300, 1e300
INFINITE = _ONE + round(math.log(_MOST) / STEP)
"""Number of the bucket of infinite values: no time is so long."""

Int32s = npt.NDArray[np.int32]


def bucket_sql(value: str) -> str:
    """In SQL, the number of the bucket that a DOUBLE falls into. Numbers sort as values do."""
    size = f"greatest(least(abs({value}), {_MOST}), {_LEAST})"
    # the cast rounds
    return f"(sign({value}) * ({_ONE} + ln({size}) * {round(1 / STEP)}))::INTEGER"


def buckets_of(values: Floats) -> Int32s:
    """The same of values that are here already."""
    sizes = np.clip(np.abs(values), _LEAST, _MOST)
    numbers = np.rint(_ONE + np.log(sizes) * round(1 / STEP))
    return np.asarray(np.sign(values) * numbers, dtype=np.int32)


def middles(buckets: Int32s) -> Floats:
    """The value that stands for all of a bucket: its middle on the logarithm."""
    sizes = np.exp((np.abs(buckets) - float(_ONE)) * STEP)
    return np.where(buckets == INFINITE, np.inf, np.sign(buckets) * sizes)
