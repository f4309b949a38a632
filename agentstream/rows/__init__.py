"""An agent over the rows of a DataFrame.

frame ─prompt─▶ keys ─▶ what is not in the checkpoint ─▶ workers ─▶ gate ─▶ model
│
frame of outputs ◀── results ◀────┘──▶ checkpoint

No module here is API: the public names are in `agentstream`.
"""

__all__: list[str] = []
