"""How good a system is: over a split, against slice labels, and how fast."""
