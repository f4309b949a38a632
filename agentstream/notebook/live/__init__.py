"""The live view: the tree that a front end shows, frame by frame."""
