"""COVID-Attention-Net: a volume's class and the slices that explain it, from volume labels."""
