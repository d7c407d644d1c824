"""Which campaign files may be started from a page, and the words that start, cancel and sweep."""

import os
from pathlib import Path

from contract.errors import UseError
from orchestrator.cli.serving.settings import ServeSettings

MOST_FILES = 500


def startable(folder: Path | None) -> list[str]:
    """Names of the campaign files in the folder, without those that are links to elsewhere."""
    if folder is None:
        return []
    try:
        names = [
            entry.name
            for entry in os.scandir(folder)
            if entry.name.endswith((".yaml", ".yml")) and entry.is_file(follow_symlinks=False)
        ]
    except OSError:
        return []
    return sorted(names)[:MOST_FILES]


def run_words(settings: ServeSettings, file: str) -> tuple[str, tuple[str, ...]]:
    """Results folder and words that run a campaign file, on the fleet, or without a broker here.

    Raises UseError for a file that may not be started, CampaignError for one that asks for what cannot
    be: that is said before anything runs.
    """
    from contract.campaign import load_campaign
    from orchestrator.plan import plan_cells
    from workers.discover import build_catalog

    if settings.campaigns is None or file not in startable(settings.campaigns):
        raise UseError(f"no campaign file '{file}' in the folder of --campaigns")
    path = settings.campaigns.resolve() / file
    campaign, source = load_campaign(path)
    plan_cells(campaign, source, build_catalog())
    folder = settings.results_root.resolve() / campaign.campaign
    where = () if settings.broker is not None else ("--local",)
    return campaign.campaign, ("run", str(path), *where, "--results", str(folder))


def sweep_words(host: str, *, dry_run: bool) -> tuple[str, ...]:
    """Words that have the workers of all hosts, or of one, list or remove what was left."""
    words = ["sweep", "--fleet"]
    words += ["--dry-run"] if dry_run else []
    return (*words, "--host", host) if host else tuple(words)
