"""Two real chest series: mixed compression, names in no order."""

import os
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from groundglass.read import read
from groundglass.scan import CTScan

DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)
SERIES = DATA / "covid-ct-md"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not SERIES.is_dir(), reason=f"no real series at {SERIES}"),
]


@pytest.mark.parametrize(
    ("name", "slices", "pixel_mm", "top_mm"),
    [("P001", 148, 0.748046875, -52.1), ("normal001", 154, 0.634765625, -24.5)],
)
def test_a_real_series_reads_whole_and_quietly(name, slices, pixel_mm, top_mm, capfd) -> None:
    scan = read(SERIES / name)
    assert isinstance(scan, CTScan)
    assert capfd.readouterr() == ("", "")
    assert scan.slices.shape == (slices, 512, 512)
    assert scan.spacing_mm == pytest.approx((2.0, pixel_mm, pixel_mm))
    assert scan.voxels.position[2] == pytest.approx(top_mm)
    assert scan.slices.min() == -1024
    assert 1500 < scan.slices.max() < 1700
    assert scan.source.notes == ()
    assert name not in scan.source.description.values()
    heights = [float(h.ImagePositionPatient[2]) for h in scan.source.headers]
    assert heights == sorted(heights, reverse=True)


def test_a_real_series_reads_to_the_voxels_that_highdicom_reads() -> None:
    headers = [pydicom.dcmread(path) for path in (SERIES / "P001").iterdir()]
    headers.sort(key=lambda header: float(header.ImagePositionPatient[2]))
    part = headers[40:60]
    expected = hd.get_volume_from_series(part, dtype="float32").to_patient_orientation("FPL")
    scan = read(SERIES / "P001")
    first = round((scan.voxels.position[2] - expected.position[2]) / 2.0)
    np.testing.assert_array_equal(scan.slices[first : first + 20], expected.array)
    position = scan.voxels.map_indices_to_reference(np.array([[first, 0, 0]]))[0]
    np.testing.assert_allclose(position, expected.position, atol=1e-6)
