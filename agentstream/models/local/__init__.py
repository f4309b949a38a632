"""A model on this machine: a server that runs already, or a small one that is started."""
