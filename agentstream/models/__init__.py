"""Models: what answers a run, and the bytes and events in between."""
