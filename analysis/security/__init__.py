"""What the tables of security are made of: merged vectors, differences, words."""
