"""A run's timeline: spans, lanes, SVG and text."""
