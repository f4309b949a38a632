"""Tools: functions, hosted ones, and how a call is made.

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
