"""Which of several series is read, and which files beside it are left out."""

import pytest
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, PositronEmissionTomographyImageStorage

from groundglass.errors import UnknownNameError, UnreadableScanError
from groundglass.read import read
from groundglass.scan import CTScan
from tests.read.broken_volumes import nifti
from tests.read.tiny_chest import datasets, save


def series(number: int, **values: object) -> list[Dataset]:
    """The tiny chest as a series of its own."""
    parts = datasets()
    for part in parts:
        part.SeriesNumber, part.SeriesInstanceUID = number, f"1.2.826.1.{number}"
        part.SeriesDescription = f"Series {number} of many"
        for keyword, value in values.items():
            setattr(part, keyword, value)
    return parts


def chosen(scan: CTScan) -> int:
    return int(scan.source.headers[0].SeriesNumber)


def every_second(parts: list[Dataset]) -> list[Dataset]:
    return [part for part in parts[::2] if setattr(part, "SliceThickness", 20) is None]


DERIVED = {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}
CORONAL = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}


def coronal(number: int) -> list[Dataset]:
    """Coronal slices of a smaller step: more of them, and as long."""
    parts = series(number, **CORONAL)
    for index, part in enumerate(parts):
        part.ImagePositionPatient = [0, 10 * index, 0]
    return parts


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (lambda: series(9), lambda: series(2)[:3]),
        (lambda: series(9), lambda: series(2, **DERIVED)),
        (lambda: series(9), lambda: coronal(2)),
        (lambda: series(9), lambda: series(2, BodyPartExamined="HEAD")),
        (lambda: series(9, BodyPartExamined=""), lambda: series(2, BodyPartExamined="ABDOMEN")),
        (lambda: series(9), lambda: every_second(series(2))),
        (lambda: series(2), lambda: series(9)),
    ],
    ids=["long", "original", "axial", "chest", "no other part", "more slices", "lower number"],
)
def test_the_better_series_is_chosen_and_the_other_noted(better, worse, tmp_path) -> None:
    better, worse = better(), worse()
    scan = read(save([*worse, *better], tmp_path))
    assert chosen(scan) == int(better[0].SeriesNumber)
    note = {note.name: note.message for note in scan.source.notes}["series"]
    assert note.startswith(f"Found 2 series and chose {better[0].SeriesNumber} (")
    assert f"left out: {worse[0].SeriesNumber} (" in note
    assert "of many" not in note


@pytest.mark.parametrize("wanted", ["3", "1.2.826.1.3", "series 3", " 3 "])
def test_a_series_is_named_by_number_uid_or_description(wanted, tmp_path) -> None:
    assert chosen(read(save([*series(2), *series(3)], tmp_path), series=wanted)) == 3


def test_an_unknown_series_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        read(save([*series(2), *series(3)], tmp_path), series="7")
    assert str(caught.value) == (
        "unknown series '7'; known: 2 (12 slices, 10 mm, PHANTOM); 3 (12 slices, 10 mm, PHANTOM)"
    )


@pytest.mark.parametrize("number", [1000001, 1234567])
def test_a_series_is_listed_by_the_number_that_names_it(number, tmp_path) -> None:
    folder = save([*series(2), *series(number)], tmp_path)
    with pytest.raises(UnknownNameError, match=f"; {number} \\(12 slices, 10 mm, "):
        read(folder, series="9")
    assert chosen(read(folder, series=str(number))) == number


def test_a_name_that_fits_two_series_asks_for_the_uid(tmp_path) -> None:
    with pytest.raises(UnknownNameError, match=r"found 2 series for 'many'.*1\.2\.826\.1\.2, "):
        read(save([*series(2), *series(3)], tmp_path), series="many")


def test_a_series_is_asked_of_dicom_only(tmp_path) -> None:
    with pytest.raises(UnreadableScanError, match="leave --series out"):
        read(nifti()(tmp_path / "scan"), series="3")


def test_of_several_examinations_one_is_named(tmp_path) -> None:
    other = series(3, StudyInstanceUID="1.2.826.99")
    folder = save([*series(2), *other], tmp_path)
    with pytest.raises(UnreadableScanError, match="2 examinations"):
        read(folder)
    assert chosen(read(folder, series="3")) == 3


def test_a_localizer_in_the_series_is_left_out_with_a_note(tmp_path) -> None:
    scout = series(2)[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.Rows, scout.Columns = 40, 128
    scan = read(save([scout, *series(2)], tmp_path))
    assert scan.source.notes[0].message == "Left out 1 localizer image."
    assert len(scan.slices) == 12


def test_objects_that_are_no_ct_are_left_out_with_a_note(tmp_path) -> None:
    report, pet = series(4)[0], series(5)
    report.SOPClassUID, report.Modality = ComprehensiveSRStorage, "SR"
    for part in pet:
        part.SOPClassUID, part.Modality = PositronEmissionTomographyImageStorage, "PT"
    scan = read(save([report, *pet, *series(2)], tmp_path))
    assert chosen(scan) == 2
    assert scan.source.notes[0].message == (
        "Left out DICOM objects that are no CT images: a PET image (PT) (12), "
        "a structured report (1)."
    )


def test_a_derived_series_needs_a_word_even_when_it_is_named(tmp_path) -> None:
    folder = save([*series(2), *series(3, **DERIVED)], tmp_path)
    with pytest.raises(UnreadableScanError, match="--tolerate derived"):
        read(folder, series="3")
    assert chosen(read(folder, series="3", tolerate=["derived"])) == 3
