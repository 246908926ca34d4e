"""Small reports made by hand: no symmetry in any axis, every lesion where it can be counted."""

import highdicom as hd
import numpy as np
from pydicom import Dataset

from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.report import Outcome, Provenance, Quality, QualityCheck, Report
from groundglass.scan import CTScan, CTSlices, Note, Source
from groundglass.score import Score

SHAPE = (24, 40, 48)
SPACING_MM = (2.5, 0.8, 0.7)
PATIENT = "Okonkwo^Ngozi"

GAP = Note("gap", "One slice is missing at -102.5 mm.")

PROVENANCE = Provenance(
    version="0.1.0",
    created="2025-03-04T05:06:07+00:00",
    system="baseline_unet",
    weights_sha256="ab" * 32,
    lungs_method="threshold",
    device="cpu",
    settings={"tolerate": "gap"},
    libraries={"numpy": "2.4.6"},
    input_uids={"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"},
    seconds={"reading": 1.25, "lesions": 20.0},
)


def lungs_array(shape=SHAPE):
    """Right lung on low columns, larger; left lung on high columns, starting lower."""
    lungs = np.zeros(shape, np.uint8)
    slices, rows, columns = shape
    lungs[slices // 8 :, rows // 5 : -rows // 8, columns // 8 : columns // 2 - 2] = Lung.RIGHT
    lungs[slices // 4 : -1, rows // 4 : -rows // 8, columns // 2 + 3 : -columns // 6] = Lung.LEFT
    return lungs


def lesions_array(shape=SHAPE):
    """Ground-glass in the right lower lung behind, a small consolidation in the left."""
    lesions = np.zeros(shape, np.uint8)
    slices, rows, columns = shape
    lesions[slices // 2 : slices - 6, rows // 2 : -rows // 5, columns // 6 : columns // 3] = 1
    lesions[slices // 3, rows // 2 : rows // 2 + 4, columns * 2 // 3 : columns * 2 // 3 + 5] = 2
    return lesions


def volume(orientation="FPL", lungs=None, lesions=None, *, spacing_mm=SPACING_MM, source=None):
    """Findings of a CT volume that was stored in the given orientation."""
    lungs = lungs_array() if lungs is None else lungs
    lesions = lesions_array(lungs.shape) if lesions is None else lesions
    voxels_hu = np.where(lungs > 0, -850, 40)
    voxels_hu[(lesions == 1) & (lungs > 0)] = -500
    voxels = hd.Volume.from_components(
        voxels_hu.astype(np.int16),
        spacing=spacing_mm,
        position=(-31.0, 12.5, -140.25),
        patient_orientation="FPL",
        coordinate_system="PATIENT",
    )
    stored = voxels.to_patient_orientation(orientation).get_geometry()
    scan = CTScan(voxels, source or Source("hand-made", "nifti", {"kernel": "B30f"}, stored=stored))
    return Findings(scan, Mask.on(scan, lungs, Lung), Mask.on(scan, lesions, Lesion))


def dicom_volume():
    """Findings of a volume whose headers hold the patient's name."""
    header = Dataset()
    header.PatientName = PATIENT
    header.PatientBirthDate = "19700102"
    findings = volume()
    stored = findings.scan.voxels.get_geometry()
    source = Source("series", "dicom", headers=(header,) * SHAPE[0], stored=stored)
    return volume(source=source)


def pictures(names=("a", "b", "c"), shapes=None, *, lesions=True):
    """Findings of pictures whose sizes differ; the lesion shrinks from picture to picture."""
    shapes = shapes or [(60 + 4 * (i % 5), 90 + 6 * (i % 3)) for i in range(len(names))]
    gray, lungs, found = [], [], []
    for i, (rows, columns) in enumerate(shapes):
        one = lungs_array((8, rows, columns))[4]
        lesion = np.zeros_like(one)
        if lesions:
            lesion[rows // 2 : rows // 2 + max(1, 12 - i % 12), columns // 6 : columns // 3] = 1
        lungs.append(one)
        found.append(lesion)
        gray.append(np.where(one > 0, 40 + 80 * lesion, 230).astype(np.uint8))
    scan = CTSlices(tuple(names), tuple(gray), Source("teaching file", "pictures"))
    return Findings(scan, Mask.on(scan, lungs, Lung), Mask.on(scan, found, Lesion))


def score(name="percentage_of_opacity", value=12.34567, unit="%", **more):
    parts = more.pop("parts", {"right lung": 20.0, "left lung": 0.04})
    return Score(
        name=name,
        title=name.replace("_", " "),
        value=value,
        unit=unit,
        parts=parts,
        definition=f"What {name} means.",
        **more,
    )


def scores(*, volumes=True):
    found = [
        score(),
        score(
            "mosmed_category",
            1.0,
            "grade",
            parts={"right lung": 1.0, "left lung": 0.0},
            meaning="CT-1: up to 25 % of the lungs",
        ),
    ]
    if volumes:
        parts = {"right lung": 2810.4, "left lung": 2001.2}
        found.append(score("lung_volume_ml", 4811.6, "ml", parts=parts))
    return tuple(found)


def report(findings=None, *, notes=(GAP,)):
    findings = volume() if findings is None else findings
    volumes = isinstance(findings.scan, CTScan)
    return Report(findings, scores(volumes=volumes), PROVENANCE, tuple(notes))


def quality(outcome=Outcome.WARNING):
    """A check that passed and one with the given outcome."""
    passed = QualityCheck(
        name="lung-volume",
        title="volume of both lungs",
        outcome=Outcome.PASS,
        measured="4812 ml",
        value=4811.6,
        unit="ml",
        limit="warning below 1500 ml",
        source="a publication",
    )
    other = QualityCheck(
        name="metal",
        title="share of the body that is metal",
        outcome=outcome,
        measured="0.7 %",
        limit="warning above 0.01 %; withheld above 0.5 %",
        source="own limit",
        message="There is metal in the body.",
    )
    return Quality(checks=(passed, other))
