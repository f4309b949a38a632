"""A model that plays a script instead of asking a server."""
