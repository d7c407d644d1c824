"""What `tonnage doctor` finds: one module per thing that it looks at."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    text: str
    advice: str = ""
    """What to do about it; empty where there is nothing to do, or the text says it."""

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)
