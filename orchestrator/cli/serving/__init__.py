"""``tonnage serve``: results folders and the fleet as web pages, rendered here, refreshed by events."""
