"""Day-2 verbs on running instances: operations read, counted, drawn and put into words."""
