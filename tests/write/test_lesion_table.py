import csv

import pytest

from groundglass.errors import OutputError
from groundglass.write import write
from groundglass.write.lesion_table import COLUMNS
from tests.write.samples import pictures, report, volume


def rows_of(folder):
    with (folder / "lesions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_lesion_has_a_row_in_order_of_size(tmp_path):
    files = write(report(volume()), tmp_path, ["radiomics"])
    assert files == [tmp_path / "lesions.csv"]
    rows = rows_of(tmp_path)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["lesion"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    volumes = [float(row["volume_ml"]) for row in rows]
    assert volumes == sorted(volumes, reverse=True)
    assert rows[0]["kind"] == "ground-glass opacity"
    assert rows[0]["lung"] == "right lung"
    assert float(rows[0]["mean_hu"]) == -500
    assert all(row["groundglass_version"] for row in rows)


def test_a_table_of_an_earlier_run_is_replaced(tmp_path):
    for _ in range(2):
        write(report(volume()), tmp_path, ["radiomics"])
    assert rows_of(tmp_path)


def test_pictures_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(OutputError, match="expected a CT volume for radiomics"):
        write(report(pictures()), tmp_path / "out", ["csv", "radiomics"])
    assert not (tmp_path / "out").exists()
