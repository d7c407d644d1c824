"""Words for what a dataset holds and no worker writes. Facts are JSON that anybody may have written."""

import traceback
from pathlib import Path
from types import TracebackType

_MOST_SAID = 200


def odd_content(dataset: Path, error: BaseException, trace: TracebackType | None) -> str:
    """What happened, where, and what to do; a defect of ours looks the same, so it says that too."""
    frames = traceback.extract_tb(trace)
    here = [frame for frame in frames if "analysis" in Path(frame.filename).parts] or frames
    where = f"{Path(here[-1].filename).name}:{here[-1].lineno}" if here else "nowhere"
    return (
        f"{dataset}: facts, parameters or settings of some trial are not as any release writes them: "
        f"{type(error).__name__} at {where}: {error!s:.{_MOST_SAID}}; leave the trials of that host or "
        "release out, or report this as a defect"
    )
