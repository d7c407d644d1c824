"""How instances come back after a fault: injections read, counted, drawn and put into words."""
