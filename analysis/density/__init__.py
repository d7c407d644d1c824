"""How densely hosts can be packed: staircases read, fitted, drawn and put into words."""
