"""What runs without anything around it: the log in memory, an embedded PostgreSQL, local sandboxes, a local Discord."""
