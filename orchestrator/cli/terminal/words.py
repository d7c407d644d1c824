"""What is said of a campaign in whole lines, on a screen and in a pipe alike."""

from orchestrator.cli.options import counted
from orchestrator.cli.views.words import moment
from orchestrator.sign_of_life import Coordinator
from orchestrator.standing import Standing


def headline(standing: Standing) -> str:
    """How far a campaign is, in one line."""
    done = standing.planned - standing.left
    outcomes, verdicts = (
        ", ".join(f"{count} {word}" for word, count in sorted(counts.items()) if count)
        for counts in (standing.outcomes, standing.verdicts)
    )
    said = f"{standing.campaign}: {done} of {counted(standing.planned, 'trial')} measured"
    return f"{said}; {outcomes}; verdicts: {verdicts}" if outcomes else said


def coordinator_in_words(coordinator: Coordinator | None) -> str:
    """Who is at work on a campaign, or was."""
    if coordinator is None:
        return "no coordinator is at work"
    if coordinator.alive:
        return f"coordinator on {coordinator.machine}"
    return f"coordinator on {coordinator.machine} was last heard of at {moment(coordinator.at_s)}"
