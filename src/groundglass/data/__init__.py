"""What systems learn from and are tested on: cohorts, slices, and the phantom."""
