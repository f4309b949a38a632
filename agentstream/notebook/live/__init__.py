"""The live view: the tree that a page shows, frame by frame."""
