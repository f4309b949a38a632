"""When a model call that failed is made again, and silence noticed."""
