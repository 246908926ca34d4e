import csv

import pytest

from groundglass.report import Report
from groundglass.scan import Note, Source
from groundglass.severity import SCORES, score_all
from groundglass.severity.intervals import WITHOUT_LESIONS, score_with_intervals
from groundglass.write import table, write
from groundglass.write.table import COLUMNS, INTERVAL_COLUMNS, column, table_row
from tests.write.samples import PROVENANCE, pictures, quality, report, score, volume


def read_rows(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_columns_are_pinned():
    assert (
        "scan",
        "format",
        "slices",
        "slice_spacing_mm",
        "row_spacing_mm",
        "column_spacing_mm",
        "percentage_of_opacity",
        "percentage_of_opacity_right_lung",
        "percentage_of_opacity_left_lung",
        "percentage_of_high_opacity",
        "percentage_of_high_opacity_right_lung",
        "percentage_of_high_opacity_left_lung",
        "percentage_of_ground_glass",
        "percentage_of_ground_glass_right_lung",
        "percentage_of_ground_glass_left_lung",
        "percentage_of_consolidation",
        "percentage_of_consolidation_right_lung",
        "percentage_of_consolidation_left_lung",
        "mosmed_category",
        "mosmed_category_right_lung",
        "mosmed_category_left_lung",
        "lung_volume_ml",
        "lung_volume_ml_right_lung",
        "lung_volume_ml_left_lung",
        "opacity_volume_ml",
        "opacity_volume_ml_right_lung",
        "opacity_volume_ml_left_lung",
        "ground_glass_volume_ml",
        "ground_glass_volume_ml_right_lung",
        "ground_glass_volume_ml_left_lung",
        "consolidation_volume_ml",
        "consolidation_volume_ml_right_lung",
        "consolidation_volume_ml_left_lung",
        "fung_grade",
        "fung_grade_right_lung",
        "fung_grade_left_lung",
        *(
            f"{score}{part}"
            for score in (
                "lesion_count",
                "largest_lesion_volume_ml",
                "median_lesion_volume_ml",
                "mean_opacity_density_hu",
                "percentage_of_well_aerated_lung",
                "well_aerated_volume_ml",
                "mean_lung_density_hu",
            )
            for part in ("", "_right_lung", "_left_lung")
        ),
        "bilateral_disease",
        "percentage_of_opacity_by_zone",
        "percentage_of_opacity_by_zone_upper_third",
        "percentage_of_opacity_by_zone_middle_third",
        "percentage_of_opacity_by_zone_lower_third",
        "percentage_of_opacity_by_zone_anterior_half",
        "percentage_of_opacity_by_zone_posterior_half",
        "percentage_of_opacity_by_zone_peripheral_half",
        "percentage_of_opacity_by_zone_central_half",
        "ct_severity_score",
        "ct_severity_score_right_apical_segment",
        "ct_severity_score_right_posterior_segment",
        "ct_severity_score_right_anterior_segment",
        "ct_severity_score_right_lateral_segment",
        "ct_severity_score_right_medial_segment",
        "ct_severity_score_right_superior_segment",
        "ct_severity_score_right_medial_basal_segment",
        "ct_severity_score_right_anterior_basal_segment",
        "ct_severity_score_right_lateral_basal_segment",
        "ct_severity_score_right_posterior_basal_segment",
        "ct_severity_score_left_apical_segment",
        "ct_severity_score_left_posterior_segment",
        "ct_severity_score_left_anterior_segment",
        "ct_severity_score_left_superior_lingular_segment",
        "ct_severity_score_left_inferior_lingular_segment",
        "ct_severity_score_left_superior_segment",
        "ct_severity_score_left_medial_basal_segment",
        "ct_severity_score_left_anterior_basal_segment",
        "ct_severity_score_left_lateral_basal_segment",
        "ct_severity_score_left_posterior_basal_segment",
        *(
            f"{score}{part}"
            for score in (
                "total_severity_score",
                "ct_score_by_lobe",
                "lung_severity_score",
                "lung_high_opacity_score",
            )
            for part in (
                "",
                "_right_upper_lobe",
                "_right_middle_lobe",
                "_right_lower_lobe",
                "_left_upper_lobe",
                "_left_lower_lobe",
            )
        ),
        "quality",
        "quality_findings",
        "notes",
        "study_instance_uid",
        "series_instance_uid",
        "system",
        "weights_sha256",
        "lungs_method",
        "regions_source",
        "groundglass_version",
        "created",
        *INTERVAL_COLUMNS,
    ) == COLUMNS


def test_every_pinned_score_exists():
    assert set(table.SCORES) <= set(SCORES)


def test_every_score_of_lesions_has_columns_for_its_interval():
    assert set(table.WITHOUT_INTERVAL) == WITHOUT_LESIONS


def test_interval_and_quality_have_their_cells():
    findings = volume()
    scores, _ = score_with_intervals(findings)
    row = table_row(Report(findings, scores, PROVENANCE, quality=quality()))
    opacity = scores[0]
    assert row["percentage_of_opacity_low"] == f"{opacity.interval[0]:.4f}".rstrip("0")
    assert row["percentage_of_opacity_high"] == f"{opacity.interval[1]:.4f}".rstrip("0")
    assert float(row["percentage_of_opacity_low"]) < float(row["percentage_of_opacity_high"])
    assert row["quality"] == "warning"
    assert row["quality_findings"] == "metal"


@pytest.mark.parametrize("findings", [volume(), pictures()], ids=["volume", "pictures"])
def test_real_scores_fill_the_pinned_columns_and_no_others(findings):
    scores, _ = score_all(findings)
    row = table_row(Report(findings, scores, PROVENANCE))
    assert tuple(row) == COLUMNS
    assert len(scores) >= 4
    assert all(row[column(score)] for score in scores)


def test_one_row_with_values_and_provenance(tmp_path):
    (file,) = write(report(), tmp_path, ["csv"])
    (row,) = read_rows(file)
    assert row["scan"] == "hand-made"
    assert row["slices"] == "24"
    assert row["slice_spacing_mm"] == "2.5"
    assert row["percentage_of_opacity"] == "12.3457"
    assert row["percentage_of_opacity_right_lung"] == "20"
    assert row["percentage_of_opacity_left_lung"] == "0.04"
    assert row["mosmed_category"] == "1"
    assert row["lung_volume_ml"] == "4811.6"
    assert row["notes"] == "gap"
    assert row["series_instance_uid"] == "1.2.4"
    assert row["created"] == "2025-03-04T05:06:07+00:00"


def test_rows_of_volumes_and_pictures_can_be_put_below_each_other(tmp_path):
    files = [
        *write(report(), tmp_path / "a", ["csv"]),
        *write(report(pictures()), tmp_path / "b", ["csv"]),
    ]
    (first, one), (second, two) = (f.read_text("utf-8").splitlines() for f in files)
    assert first == second
    assert one.count(",") == two.count(",")
    (row,) = read_rows(files[1])
    assert row["lung_volume_ml"] == row["slice_spacing_mm"] == ""


def test_a_score_without_a_column_of_its_own_follows_at_the_end():
    more = score("mean_density", -412.5, "HU", parts={"right upper lobe": -500.0})
    row = table_row(Report(volume(), (more,), PROVENANCE))
    assert list(row)[len(COLUMNS) :] == ["mean_density_hu", "mean_density_hu_right_upper_lobe"]
    assert row["mean_density_hu"] == "-412.5"


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x", "@sum"])
def test_a_name_that_a_spreadsheet_would_run_is_quoted(name):
    assert table_row(report(volume(source=Source(name, "nifti"))))["scan"] == f"'{name}"


def test_odd_names_stay_in_one_cell(tmp_path):
    name = 'näme, "quoted"\nand broken \udcff'
    made = report(volume(source=Source(name, "nifti")), notes=[Note("a", "x"), Note("a", "y")])
    (row,) = read_rows(write(made, tmp_path, ["csv"])[0])
    assert row["scan"] == 'näme, "quoted" and broken ?'
    assert row["notes"] == "a"
