"""A plain U-Net for lungs, lesions and consolidation: the default and the yardstick."""
