"""The engine: what a run does next, how it is done, and what it gives.

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
