"""How many hosts a demand needs, from what was measured: pure functions, and the plan that they make."""
