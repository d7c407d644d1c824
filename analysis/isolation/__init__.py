"""What bad neighbours do to a victim: its answers by phase, ratios, the matrix, figures and words."""
