"""Whether the numbers can be trusted: drift, first blocks, odd hosts, where the variance is."""
