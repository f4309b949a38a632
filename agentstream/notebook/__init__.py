"""The live view of a run in a notebook, and the only ways by which text reaches the front end.

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
