"""Which parts of a campaign are read for a first look: all, or a random sample that stays the same."""

from collections.abc import Container

from orchestrator.cli.views.reading import CampaignReader


def share_of(reader: CampaignReader, most: int) -> float:
    """The share of its trials that makes about ``most``, 1 where it has no more."""
    return min(1.0, most / max(1, len(reader.trials)))


def unread(reader: CampaignReader, share: float, seen: Container[str]) -> list[tuple[str, int]]:
    """Trials of that share which ended with a part and are not in ``seen``, with their attempts."""
    # ids are hashes: those below a bound are a random sample, always the same one
    bound = f"{round(share * 16**8):09x}"
    return [
        (trial_id, ended.attempt)
        for trial_id, ended in reader.ended.items()
        if trial_id not in seen and f"0{trial_id[:8]}" < bound and ended.attempt > 0
    ]
