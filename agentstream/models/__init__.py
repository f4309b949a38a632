"""Models: what answers a run, and the bytes and events in between.

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
