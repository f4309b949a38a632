"""A tutorial executed without network, and what it saved compared."""
