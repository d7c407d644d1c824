"""How drivers speak to their engines: connections, records, XML, consoles, control groups."""
