"""Self-supervised Inf-Net (Fung et al. 2021): lesion, then its kind, from little labeled data."""
