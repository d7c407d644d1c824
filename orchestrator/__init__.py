"""The coordinator: plans, hands out, gathers, and speaks with the person."""
