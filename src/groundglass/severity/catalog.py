"""Every score with its definition, for tables of what there is."""

import highdicom as hd
import numpy as np

from groundglass.findings import Findings
from groundglass.labels import Lesion, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.scan import CTScan, Source
from groundglass.score import Score
from groundglass.severity import SCORES


def list_scores() -> tuple[Score, ...]:
    """Every score in reading order, measured on the smallest scan with a lesion.

    A score states its title, unit, range, definition and reference itself, so it is asked for
    them; its value means nothing here.
    """
    turned = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], float)
    voxels = hd.Volume(np.full((1, 1, 2), -800, np.int16), turned, "PATIENT")
    scan = CTScan(voxels, Source("two voxels", "none"))
    lungs = Mask.on(scan, np.array([[[Lung.RIGHT, Lung.LEFT]]]), Lung)
    lesions = Mask.on(scan, np.array([[[Lesion.GROUND_GLASS, 0]]]), Lesion)
    lobes = Mask.on(scan, np.array([[[Lobe.RIGHT_UPPER, Lobe.LEFT_UPPER]]]), Lobe)
    regions = Mask.on(scan, np.array([[[Region.RIGHT_APICAL, Region.LEFT_APICAL]]]), Region)
    findings = Findings(scan, lungs, lesions, lobes, regions)
    return tuple(measure(findings) for measure in SCORES.values())
