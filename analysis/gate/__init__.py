"""A gate: thresholds that a dataset must meet, and comparisons with a baseline that it must pass."""
