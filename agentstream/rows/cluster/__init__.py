"""Rows that are asked by the workers of a Dask cluster.

pool ─▶ asker ─▶ crew ─▶ member ══ messages ══▶ actor ─▶ Runner.run
        gate ◀── lessor ◀──┘                     └─▶ leases (the gate as a worker sees it)
"""
