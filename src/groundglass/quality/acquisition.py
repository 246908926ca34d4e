"""How the scan was made: kernel, slices, contrast medium, position of the patient, metal."""

import re

import cv2
import numpy as np

from groundglass.labels import Lung
from groundglass.quality.chest import Chest
from groundglass.quality.limits import Limits, judged
from groundglass.report import Outcome, QualityCheck

SLICE_STEP_MM = Limits(
    high=5.0,
    source="own limit: lesions of a few millimeters fall between thicker slices",
)
BLOOD_HU = Limits(
    high=90.0, source="own limit above unenhanced blood, 30 to 60 HU; enhanced blood is over 100"
)
METAL_SHARE = Limits(
    high=0.01,
    highest=0.5,
    source="own limit: about 2 ml and 100 ml of a chest of 20 liters; the densest bone stays below "
    "2000 HU",
)

METAL_HU = 2500
TABLE_HU = -700
TABLE_DISTANCE_MM = 6.0
LEAST_TABLE_ML = 20.0

UNUSUAL_KERNELS = re.compile(
    r"[HU][a-z]?\d{2}.*"  # Siemens: head and ultra-sharp
    r"|bone ?plus|bone|edge|ultra"  # GE
    r"|FC[2348]\d.*",  # Canon: brain, bone, high resolution
    re.IGNORECASE,
)
"""Kernels of the makers that are meant for head and bone."""


def slice_spacing(chest: Chest) -> QualityCheck:
    """Whether slices lie close enough to show small lesions."""
    return judged(
        "coarse-slices",
        "distance between slices",
        chest.scan.spacing_mm[0],
        "mm",
        SLICE_STEP_MM,
        "Slices lie far apart: lesions smaller than that may be missed, and volumes are coarse.",
    )


def kernel(chest: Chest) -> QualityCheck | None:
    """Whether the reconstruction kernel is one for lung or soft tissue; none where not told."""
    name = chest.scan.source.description.get("kernel", "")
    if not name:
        return None
    unusual = UNUSUAL_KERNELS.fullmatch(name) is not None
    return QualityCheck(
        name="kernel",
        title="reconstruction kernel",
        outcome=Outcome.WARNING if unusual else Outcome.PASS,
        measured=name,
        limit="warning for kernels of head and bone",
        source="names that the makers give their kernels",
        message="The kernel is meant for head or bone: edges overshoot and noise is high, which "
        "can be taken for opacity. Give the series for lung or soft tissue."
        if unusual
        else "",
    )


def contrast_medium(chest: Chest) -> QualityCheck | None:
    """Whether contrast medium was given.

    Measured is the median density of soft tissue between the lungs, in front of the spine, at the
    height of the heart: mostly blood.
    """
    span, front = chest.coarse_span, int(chest.middle[0])
    height = span.stop - span.start
    part = slice(span.start + int(0.4 * height), span.start + int(0.75 * height) + 1)
    found = []
    for voxels_hu, lungs in zip(chest.coarse.hu[part], chest.coarse_lungs[part], strict=True):
        before = lungs[:front] == int(Lung.RIGHT)
        behind = lungs[:front] == int(Lung.LEFT)
        left_of = np.maximum.accumulate(before, axis=1)
        right_of = np.maximum.accumulate(behind[:, ::-1], axis=1)[:, ::-1]
        between = left_of & right_of & (lungs[:front] == 0)
        found.append(voxels_hu[:front][between])
    soft = np.concatenate(found) if found else np.zeros(0)
    soft = soft[(soft > -20) & (soft < 600)]
    if soft.size < 500:
        return None
    return judged(
        "contrast-medium",
        "density of the blood between the lungs",
        float(np.median(soft)),
        "HU",
        BLOOD_HU,
        "Contrast medium was given: lung and lesions are denser than on the unenhanced scans that "
        "density limits are published for.",
    )


def patient_position(chest: Chest) -> QualityCheck | None:
    """Whether the patient lies on the back: told by the header, else by the table.

    None where neither tells.
    """
    told = chest.scan.source.description.get("patient position", "").upper()
    stated = _HEADER_POSITIONS.get(told[2:])
    position = stated or _position_on_table(chest)
    if position is None:
        return None
    supine = position == "supine"
    return QualityCheck(
        name="patient-position",
        title="position of the patient",
        outcome=Outcome.PASS if supine else Outcome.WARNING,
        measured=position,
        limit="warning unless supine",
        source="patient position in the header" if stated else "side of the body the table lies on",
        message=""
        if supine
        else "The patient does not lie on the back: dependent density, which "
        "can be taken for opacity, lies elsewhere than usual.",
    )


_HEADER_POSITIONS = {
    "S": "supine",
    "P": "prone",
    "DL": "lying on the left",
    "DR": "lying on the right",
}


def _position_on_table(chest: Chest) -> str | None:
    """On which side of the body the table lies, by all that is solid away from the body."""
    disk = chest.coarse.disk(TABLE_DISTANCE_MM)
    rows, columns = chest.body.shape[1:]
    solid = np.zeros((rows, columns), np.float64)
    for voxels_hu, body in zip(chest.coarse.hu, chest.body, strict=True):
        if body.any():
            solid += (voxels_hu > TABLE_HU) & (cv2.dilate(body, disk) == 0)
    if solid.sum() * chest.coarse.voxel_ml < LEAST_TABLE_ML:
        return None
    row, column = chest.middle
    _, row_mm, column_mm = chest.coarse.spacing_mm
    back_mm = (float(solid.sum(1) @ np.arange(rows)) / solid.sum() - row) * row_mm
    left_mm = (float(solid.sum(0) @ np.arange(columns)) / solid.sum() - column) * column_mm
    if abs(back_mm) >= abs(left_mm):
        return "supine" if back_mm > 0 else "prone"
    return "lying on the left" if left_mm > 0 else "lying on the right"


def metal(chest: Chest) -> QualityCheck:
    """Whether there is metal in the body, whose streaks cross the lungs.

    Measured is the share of the body that is denser than any bone.
    """
    slices, rows, columns = np.nonzero(chest.scan.slices >= METAL_HU)
    by_slice, by_row, by_column = chest.coarse.factors
    inside = chest.body[slices // by_slice, rows // by_row, columns // by_column]
    body_voxels = int(np.count_nonzero(chest.body)) * by_slice * by_row * by_column
    return judged(
        "metal",
        "share of the body that is metal",
        100.0 * int(np.count_nonzero(inside)) / max(body_voxels, 1),
        "%",
        METAL_SHARE,
        "There is metal in the body: its streaks can be taken for opacity, or hide it.",
    )
