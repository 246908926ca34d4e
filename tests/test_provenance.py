from datetime import UTC, datetime, timedelta

from pydicom import Dataset

from groundglass.provenance import LIBRARIES, describe, input_uids, library_versions
from groundglass.scan import Source
from groundglass.version import __version__


def header():
    ds = Dataset()
    ds.PatientName = "Roentgen^Bertha"
    ds.PatientBirthDate = "18330422"
    ds.PatientID = "hand"
    ds.StudyInstanceUID = "1.2.3"
    ds.SeriesInstanceUID = "1.2.3.4"
    return ds


def made(source):
    return describe(
        source,
        system="baseline_unet",
        weights_sha256="abc",
        lungs_method="threshold",
        settings={"tolerate": "gap"},
        seconds={"read": 1.5},
    )


def test_a_provenance_says_what_is_needed_to_make_the_result_again():
    found = made(Source("scan", "nifti"))
    assert (found.version, found.system, found.device) == (__version__, "baseline_unet", "cpu")
    assert (found.weights_sha256, found.lungs_method) == ("abc", "threshold")
    assert found.settings == {"tolerate": "gap"}
    assert found.seconds == {"read": 1.5}
    assert found.input_uids == {}
    assert {"python", "numpy", "torch"} <= set(found.libraries)


def test_the_time_is_utc_and_now():
    created = datetime.fromisoformat(made(Source("scan", "nifti")).created)
    assert created.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)


def test_a_dicom_input_is_named_by_its_uids_and_nothing_of_the_patient():
    found = made(Source("scan", "dicom", headers=(header(), header())))
    assert found.input_uids == {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
    text = found.model_dump_json()
    assert not any(secret in text for secret in ("Roentgen", "1833", "hand"))


def test_a_missing_uid_is_left_out():
    ds = header()
    del ds.StudyInstanceUID
    assert input_uids(Source("scan", "dicom", headers=(ds,))) == {"SeriesInstanceUID": "1.2.3.4"}


def test_every_listed_library_is_one_that_can_be_installed():
    assert set(library_versions()) == set(LIBRARIES)
