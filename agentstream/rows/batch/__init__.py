"""Rows by the Batch API: half the price, within a day.

rows ──capture──▶ lines of a file ──service──▶ batch ──poll──▶ lines of answers ──replay──▶ results
│ ▲
└── store: which row is in which batch, in the checkpoint ──┘ (also in another kernel)

A row's run is made twice with the same agent: first until its request is known, which becomes a
line of the file; then again with the answer, so that guardrails, output type and errors count as
they do for any run.
"""
