"""Markdown that is still being written, as sanitised HTML."""
