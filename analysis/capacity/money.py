"""Prices in words."""

from analysis import quantities


def money(price: float | None) -> str:
    """A price; empty without one."""
    if price is None:
        return ""
    return quantities.count(price) if price >= 100 or price == round(price) else f"{price:.2f}"
