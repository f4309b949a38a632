"""``%%agent``: a cell that is a question."""
