"""What the web page and the terminal both show: readers of results folders and of the fleet."""
