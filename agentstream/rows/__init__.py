"""An agent over the rows of a DataFrame.

frame ─prompt─▶ keys ─▶ what is not in the checkpoint ─▶ workers ─▶ gate ─▶ model
│
frame of outputs ◀── results ◀────┘──▶ checkpoint
"""
