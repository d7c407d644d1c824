"""One module per experiment: its table, its plots, its words in the report."""
