"""Learning from slices without labels, before the training proper."""
