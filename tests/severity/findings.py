"""Findings drawn by hand or by hypothesis, small enough to count on paper."""

import highdicom as hd
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Source

SHAPE = (3, 4, 6)


def volume(lungs, lesions, voxels_hu=None, spacing_mm=(2.0, 1.0, 0.5)):
    """Findings of a CT volume in FPL: a voxel of 1 cubic mm unless told otherwise."""
    lungs = np.asarray(lungs)
    voxels_hu = np.full(lungs.shape, -800) if voxels_hu is None else np.asarray(voxels_hu)
    slice_mm, row_mm, column_mm = spacing_mm
    affine = np.array(
        [[0, 0, column_mm, 0], [0, row_mm, 0, 0], [-slice_mm, 0, 0, 0], [0, 0, 0, 1]], float
    )
    array = voxels_hu.astype(np.int16)
    scan = CTScan(hd.Volume(array, affine, "PATIENT"), Source("hand", "nifti"))
    return Findings(scan, Mask.on(scan, lungs, Lung), Mask.on(scan, np.asarray(lesions), Lesion))


def pictures(lungs, lesions):
    """Findings of a set of pictures, one (row, column) list per picture."""
    lungs = [np.asarray(s) for s in lungs]
    names = tuple(f"picture {i}" for i in range(len(lungs)))
    grey = [np.zeros(s.shape, np.uint8) for s in lungs]
    scan = CTSlices(names, grey, Source("hand", "pictures"))
    masks = Mask.on(scan, lungs, Lung), Mask.on(scan, [np.asarray(s) for s in lesions], Lesion)
    return Findings(scan, *masks)


def label_maps(labels, shape=SHAPE):
    """Strategy: label numbers of a small volume."""
    return hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, *map(int, labels)]))


lungs_drawn = label_maps(Lung).filter(np.any)
lesions_drawn = label_maps(Lesion)
lesions_of_known_kind = label_maps([Lesion.GROUND_GLASS, Lesion.CONSOLIDATION])
densities_drawn = hnp.arrays(np.int16, SHAPE, elements=st.integers(-1024, 300))
