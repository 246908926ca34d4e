from time import process_time

import numpy as np
import pytest

from groundglass.data.phantom import make_phantom
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.lungs.regions import find_regions
from groundglass.mask import Mask
from groundglass.scan import CTScan
from groundglass.severity import score_all

MOST_SECONDS = 10.0


def larger(array):
    """Each voxel divided in two along each axis."""
    return array.repeat(2, 0).repeat(2, 1).repeat(2, 2)


@pytest.mark.slow
def test_regions_and_scores_of_a_usual_scan_take_ten_seconds_at_most():
    phantom = make_phantom(0, shape=(150, 256, 256))
    affine = phantom.scan.voxels.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    voxels = type(phantom.scan.voxels)(larger(phantom.scan.slices), affine, "PATIENT")
    scan = CTScan(voxels, phantom.scan.source)
    lungs = Mask.on(scan, larger(phantom.lungs.array), Lung)
    lesions = Mask.on(scan, larger(phantom.lesions.array), Lesion)
    assert scan.slices.shape == (300, 512, 512)
    start = process_time()  # of all threads: no less than the time on a machine of two free cores
    found = find_regions(scan, lungs)
    regions = process_time() - start
    scores, _ = score_all(Findings(scan, lungs, lesions, found.lobes, found.regions))
    assert scores
    assert process_time() - start <= MOST_SECONDS, f"regions {regions:.1f} s"
