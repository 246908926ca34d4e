"""Findings drawn by hand or by hypothesis, small enough to count on paper."""

import highdicom as hd
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundglass.findings import Findings
from groundglass.labels import Lesion, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Source

SHAPE = (3, 4, 6)


WHOLE_LUNGS = np.array([0, Lobe.RIGHT_LOWER, Lobe.LEFT_LOWER], np.uint8)
"""The lobe that each lung consists of where nothing else is said."""

FIRST_REGIONS = np.array([0, 1, 4, 6, 11, 16], np.uint8)
"""One region of each lobe."""


def volume(lungs, lesions, voxels_hu=None, spacing_mm=(2.0, 1.0, 0.5), lobes=None, regions=None):
    """Findings of a CT volume in FPL: a voxel of 1 cubic mm unless told otherwise.

    Where lobes or regions are not given, each lung is one lobe of one region.
    """
    lungs = np.asarray(lungs)
    lobes = WHOLE_LUNGS[lungs] if lobes is None else np.asarray(lobes)
    regions = FIRST_REGIONS[lobes] if regions is None else np.asarray(regions)
    voxels_hu = np.full(lungs.shape, -800) if voxels_hu is None else np.asarray(voxels_hu)
    slice_mm, row_mm, column_mm = spacing_mm
    affine = np.array(
        [[0, 0, column_mm, 0], [0, row_mm, 0, 0], [-slice_mm, 0, 0, 0], [0, 0, 0, 1]], float
    )
    array = voxels_hu.astype(np.int16)
    scan = CTScan(hd.Volume(array, affine, "PATIENT"), Source("hand", "nifti"))
    return Findings(
        scan,
        Mask.on(scan, lungs, Lung),
        Mask.on(scan, np.asarray(lesions), Lesion),
        Mask.on(scan, lobes, Lobe),
        Mask.on(scan, regions, Region),
    )


def pictures(lungs, lesions):
    """Findings of a set of pictures, one (row, column) list per picture."""
    lungs = [np.asarray(s) for s in lungs]
    names = tuple(f"picture {i}" for i in range(len(lungs)))
    gray = [np.zeros(s.shape, np.uint8) for s in lungs]
    scan = CTSlices(names, gray, Source("hand", "pictures"))
    masks = Mask.on(scan, lungs, Lung), Mask.on(scan, [np.asarray(s) for s in lesions], Lesion)
    return Findings(scan, *masks)


def in_parts(percents, labels):
    """Findings whose lobes or regions hold 200 voxels each and are opacified by so many per cent.

    Args:
        percents: For each label in order.
        labels: ``Lobe`` or ``Region``.
    """
    numbers = np.array([[[int(label)] * 200 for label in labels]])
    right = len(labels) // 2 + len(labels) % 2
    lungs = np.broadcast_to(np.where(np.arange(len(labels)) < right, 1, 2)[:, None], numbers.shape)
    filled = np.arange(200) < 2 * np.array(percents)[:, None]
    lesions = np.where(filled, int(Lesion.GROUND_GLASS), 0)[None]
    name = "lobes" if labels is Lobe else "regions"
    return volume(lungs, lesions, np.full(numbers.shape, -200), **{name: numbers})


def label_maps(labels, shape=SHAPE):
    """Strategy: label numbers of a small volume."""
    return hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, *map(int, labels)]))


lungs_drawn = label_maps(Lung).filter(np.any)
lesions_drawn = label_maps(Lesion)
lesions_of_known_kind = label_maps([Lesion.GROUND_GLASS, Lesion.CONSOLIDATION])
densities_drawn = hnp.arrays(np.int16, SHAPE, elements=st.integers(-1024, 300))
