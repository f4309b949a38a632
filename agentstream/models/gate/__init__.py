"""The gate: when a request to a model may leave, so that the service's rate limits hold.

headers ──▶ limiter ──▶ gate ──▶ admission
(what a service says)  (pure: when)  (asyncio: one line of waiters)  (one request)
"""
