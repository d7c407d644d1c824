"""What becomes of a lost host's instances: losses read, counted, drawn and put into words."""
