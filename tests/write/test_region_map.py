import base64
import io
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from groundglass.labels import Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.severity import score_all
from groundglass.write import figures, write
from groundglass.write.html import page, total
from groundglass.write.record import record_of
from groundglass.write.region_map import region_map
from tests.write.samples import PROVENANCE, report, score, volume


def with_regions(source="anatomical model"):
    """A report whose lobes lie one above the other and whose regions fill whole lobes."""
    findings = volume()
    lungs = findings.lungs.array
    height = np.arange(len(lungs))[:, None, None]
    lobes = np.where(lungs == Lung.RIGHT, 1 + (height > 8) + (height > 15), 0)
    lobes = np.where(lungs == Lung.LEFT, 4 + (height > 11), lobes)
    regions = np.array([0, 1, 4, 6, 11, 16])[lobes]
    found = replace(
        findings,
        lobes=Mask.on(findings.scan, lobes, Lobe),
        regions=Mask.on(findings.scan, regions, Region),
    )
    scores, _ = score_all(found)
    return Report(found, scores, PROVENANCE.model_copy(update={"regions_source": source}))


def decoded(picture):
    data = base64.b64decode(picture.uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_without_regions_there_is_no_map():
    assert region_map(report()) is None
    assert "Lobes and regions" not in page(report())


def test_lobes_have_their_opacified_share():
    made = with_regions()
    lesions, lobes = made.findings.lesions.array, made.findings.lobes.array
    rows = {row.title: row.percent for row in region_map(made).lobes}
    share = 100 * (lesions[lobes == 3] > 0).mean()
    assert rows["right lower lobe"].startswith(f"{share:.1f}")
    assert list(rows) == [lobe.title for lobe in Lobe]


def test_regions_of_both_lungs_stand_side_by_side():
    segments = region_map(with_regions()).segments
    assert len(segments) == 10
    first, superior = segments[0], segments[5]
    assert [row.title for row in first] == ["right apical segment", "left apical segment"]
    assert [row.title for row in superior] == ["right superior segment", "left superior segment"]
    assert segments[1] == (None, None)


def test_there_is_a_coronal_and_a_sagittal_picture_of_each_lung():
    captions = [figure.caption for figure in region_map(with_regions()).figures]
    assert [caption.split()[0] for caption in captions] == ["Coronal", "Sagittal", "Sagittal"]
    assert captions[1].endswith("right lung")
    assert captions[2].endswith("left lung")


def test_a_sagittal_picture_has_the_front_on_the_left_and_the_head_at_the_top():
    findings = volume()
    findings.scan.voxels.array[:] = -1000
    findings.scan.voxels.array[:12, :20] = 500
    box = (slice(None), slice(None), slice(None))
    pixels = decoded(figures.plain(figures.sagittal(findings, 12, box), ""))
    height, width = pixels.shape[:2]
    bright = pixels[height // 4 : height // 3, width // 4 : width // 3].mean()
    assert bright > 200
    assert pixels[-height // 3 :, : width // 3].mean() < 60
    assert pixels[height // 4 : height // 3, -width // 3 :].mean() < 60


@pytest.mark.parametrize("lung", Lung)
def test_the_sagittal_slice_goes_through_its_lung(lung):
    findings = volume()
    column = figures.sagittal_column(findings, lung)
    assert (findings.lungs.array[:, :, column] == int(lung)).any()


def test_lobes_are_tinted_in_their_colors():
    made = with_regions()
    findings = made.findings
    box = (slice(None), slice(None), slice(None))
    column = figures.sagittal_column(findings, Lung.RIGHT)
    plane = figures.sagittal(findings, column, box)
    lobes = findings.lobes.array[:, :, column]
    pixels = decoded(figures.lobes_overlaid(plane, lobes, ""))
    plain = decoded(figures.plain(plane, ""))
    row, across = (np.argwhere(lobes == Lobe.RIGHT_MIDDLE).mean(axis=0) + 0.5) / lobes.shape
    at = int(row * len(pixels)), int(across * pixels.shape[1])
    red, _, blue = pixels[at] - plain[at]
    assert red > blue + 10


def test_the_page_names_the_source_and_says_that_it_is_an_estimate():
    text = page(with_regions())
    assert "<b>Estimated.</b>" in text
    assert "Source: anatomical model" in text
    assert "right lateral basal segment" not in text
    assert "right superior segment" in text
    given = page(with_regions("given lobes"))
    assert "Lobes as given by the user" in given
    assert "Estimated." not in given


def test_thresholds_stand_beside_the_numbers():
    text = page(with_regions())
    assert "of 40" in text
    assert "Above 19.5 separated severe from mild" in text
    assert "1 below 50&nbsp;%, 2 from 50&nbsp;% on" in text


@pytest.mark.parametrize(
    ("name", "value", "maximum", "shown"),
    [("ct_severity_score", 13.0, 40.0, "13 of 40"), ("mosmed_category", 2.0, 4.0, "CT-2")],
)
def test_a_sum_of_grades_is_shown_with_the_most_it_can_be(name, value, maximum, shown):
    meaning = "CT-2: much" if name == "mosmed_category" else "below"
    made = score(name, value, "grade", maximum=maximum, meaning=meaning)
    assert total(made) == shown


def test_masks_of_lobes_and_regions_are_written_with_their_legend(tmp_path):
    made = with_regions()
    write(made, tmp_path, ["nifti"])
    for name in ("lobes", "regions"):
        written = np.asarray(nib.load(tmp_path / f"{name}.nii.gz").dataobj)
        mask = getattr(made.findings, name)
        np.testing.assert_array_equal(np.bincount(written.ravel()), np.bincount(mask.array.ravel()))
    assert '"regions"' in (tmp_path / "labels.json").read_text("utf-8")


def test_the_record_explains_the_numbers_of_lobes_and_regions():
    record = record_of(with_regions())
    assert record.lobes["2"].title == "right middle lobe"
    assert len(record.regions) == 20
    assert record.provenance.regions_source == "anatomical model"
    assert record_of(report()).regions == {}
