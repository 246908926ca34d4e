import numpy as np
import pytest
from PIL import Image

from groundglass.classification import Classification
from groundglass.errors import OutputError
from groundglass.scan import Source
from groundglass.write.figures import draw_map
from groundglass.write.radiograph import radiograph_record, write_radiograph
from tests.write.dicom_series import PROVENANCE

PIXELS = np.full((40, 50), 100, np.uint8)
SPOKE = np.zeros((40, 50), np.float32)
SPOKE[:10, :20] = 1.0
RECORD = radiograph_record(
    Source("chest.png", "pictures"),
    Classification("a", "", {"COVID-19": 0.7, "normal": 0.3}, exclusive=True),
    PROVENANCE,
)


def test_a_second_answer_takes_the_place_of_the_first(tmp_path):
    for _ in range(2):
        files = write_radiograph(RECORD, PIXELS, SPOKE, tmp_path)
    names = ["class_map.png", "classification.html", "classification.json"]
    assert [file.name for file in files] == sorted(f.name for f in tmp_path.iterdir()) == names
    stored = np.asarray(Image.open(tmp_path / "class_map.png"))
    np.testing.assert_array_equal(stored, draw_map(PIXELS, SPOKE))
    write_radiograph(RECORD, PIXELS, None, tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == names[1:]


def test_a_picture_of_the_user_is_never_overwritten(tmp_path):
    (tmp_path / "class_map.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="did not write"):
        write_radiograph(RECORD, PIXELS, SPOKE, tmp_path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"mine"]
