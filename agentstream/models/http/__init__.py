"""Bytes from a server: clients and their keys, bodies, bounds, server-sent events."""
