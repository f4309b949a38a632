"""A run that waits for a decision, as data and as JSON."""
