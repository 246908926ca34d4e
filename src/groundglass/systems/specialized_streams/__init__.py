"""Recognition, manifestations and specialized streams: El-Bana et al. 2020."""
