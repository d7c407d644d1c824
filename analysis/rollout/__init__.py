"""How an image reaches all hosts at once: common measurements read, scaled, shown and put into words."""
