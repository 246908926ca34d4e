"""How well scores agree with those of readers."""
