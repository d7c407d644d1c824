"""Pure functions on numbers: quantiles, shares, rates and comparisons that know about blocks."""

LEVEL = 0.95
"""Confidence level of every interval."""
