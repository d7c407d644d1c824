"""Day-2 verbs: what engines do to instances that run, one module per driver that has some of its own."""
