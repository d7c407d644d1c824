"""Two datasets, or two selections of one: matched cells, ratios, verdicts, and what else differs."""
