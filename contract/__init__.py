"""What coordinator, workers and analysis agree on. The leaf of the floors: it imports none of ours."""

CONTRACT_VERSION = 1
"""Version of trials, messages and trial records. A worker refuses another version in plain words."""
