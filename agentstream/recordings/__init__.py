"""A run recorded once and replayed without a key: the file, who writes it, who reads it.

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
