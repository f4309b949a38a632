"""Scripts for a model: `shapes`, the builders of `parts`, `hosted` items and `faults`, `player`."""
