"""``tonnage watch``: a campaign on one screen of a terminal, or as lines in a pipe."""
