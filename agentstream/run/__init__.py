"""The engine: what a run does next, how it is done, and what it gives."""
