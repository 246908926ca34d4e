"""Consolidated lungs of real patients, laid together to volumes in estimated Hounsfield units."""

import csv
import os
from pathlib import Path

import highdicom
import numpy as np
import pytest

from groundglass.data.importers import import_covid_ct_seg
from groundglass.data.stacks import Stack, find_runs
from groundglass.scan import CTScan, Source
from groundglass.systems.scan_lungs import find_scan_lungs

DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)
FOLDER = DATA / "covid-ct-seg"
SPACING_MM = (1.5, 0.9, 0.9)
"""Not known of these slices; about that of such scans."""

MARGIN_PX = 60

pytestmark = [pytest.mark.reference, pytest.mark.slow]


def volume_of(patient):
    """The longest run of slices, head first, as (scan, lungs, lesions).

    Gray is linear in Hounsfield units with soft tissue, about 40 HU, at a peak that the data set's
    table tells. The slices are cropped to the lungs: tissue and air are laid around them.
    """
    if not FOLDER.exists():
        pytest.skip("real slices are not here; set GROUNDGLASS_DATA")
    with (FOLDER / "index.csv").open(encoding="utf-8") as table:
        peaks = {row["file"]: float(row["gray_soft_peak"]) for row in csv.DictReader(table)}
    cases = [c for c in import_covid_ct_seg(FOLDER) if c.patient == patient and c.lungs is not None]
    run = max(find_runs(cases), key=len)
    stack = Stack.of(run)
    peak = np.median([peaks[case.image.name] for case in run])
    around = ((0, 0), (MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX))
    hu = np.pad(stack.gray * (1064.0 / peak) - 1024.0, around, constant_values=-1000.0)
    rows, columns = np.indices(hu.shape[1:])
    half = np.array(hu.shape[1:]) / 2
    body = ((rows - half[0]) / (half[0] - 12)) ** 2 + (
        (columns - half[1]) / (half[1] - 12)
    ) ** 2 < 1
    cropped = np.pad(np.ones(stack.gray.shape, bool), around)
    hu[~cropped & body] = 20.0
    lungs, lesions = (np.pad(mask, around) for mask in (stack.lungs == 1, stack.lesions > 0))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]) * SPACING_MM
    array = np.ascontiguousarray(np.clip(hu, -1024, 3000)[::-1]).astype(np.int16)
    voxels = highdicom.Volume(array, affine, coordinate_system="PATIENT")
    return CTScan(voxels, Source(patient, "stack")), lungs[::-1], lesions[::-1]


def measured(scan, lungs, lesions, method):
    """Dice of the lungs, and the share of lesion that is not within the lungs found."""
    found = find_scan_lungs(scan, method)[0].array > 0
    dice = 2 * np.sum(found & lungs) / (found.sum() + lungs.sum())
    lost = np.sum(lesions & ~found) / lesions.sum()
    print(f"{scan.source.name} {method}: lungs {dice:.3f}, lesion outside {100 * lost:.1f} %")
    return dice, lost


def test_heavy_consolidation_that_a_threshold_loses_is_kept():
    volume = volume_of("coronacases_003")
    dice, lost = measured(*volume, "threshold")
    assert lost > 0.10, "the threshold no longer loses it: this test shows nothing"
    better, kept = measured(*volume, "threshold+network")
    assert better > dice
    assert better > 0.965
    assert kept < 0.06


@pytest.mark.parametrize("patient", ["coronacases_002", "coronacases_008", "coronacases_009"])
def test_milder_disease_is_found_no_worse(patient):
    volume = volume_of(patient)
    dice, lost = measured(*volume, "threshold")
    better, kept = measured(*volume, "threshold+network")
    assert better >= dice - 0.0005
    assert kept <= lost
    assert better > 0.98
