"""Where things lie: the frame between a slice and the input of a network."""
