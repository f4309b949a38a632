"""The live view of a run in a notebook, and the only ways by which text reaches the page."""
