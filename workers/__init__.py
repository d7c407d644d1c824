"""What runs on every benchmarked host: one trial at a time, measured on the host's own clock."""
