"""Liu et al.: lesions as instances, from three slices and the stage of the disease."""
