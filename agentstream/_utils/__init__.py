"""Small helpers that every room may use; none knows what an agent is."""
