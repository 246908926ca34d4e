"""Known public data sets whose pictures and series have a class, turned into cohort tables."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from groundglass.data.case import Case, split_name
from groundglass.data.splits import split_patients
from groundglass.errors import CohortError

_NOT_JUDGED = {"", "todo", "Unknown"}
"""Findings that say nothing."""


def import_covid_ct(folder: Path) -> list[Case]:
    """Slices of COVID-CT (Yang et al. 2020), with and without COVID-19, in their official split.

    Args:
        folder: Holds ``index.csv`` and ``images/``.
    """
    return [
        Case(
            case=f"{row['label']}/{Path(row['file']).stem}",
            patient=row["patient"],
            split=split_name(row["official_split"]),
            image=folder / row["file"],
            label=row["label"],
        )
        for row in rows_of(folder / "index.csv")
    ]


def import_cxr_ieee8023(folder: Path) -> list[Case]:
    """Frontal radiographs of the COVID-19 Image Data Collection (Cohen et al. 2020).

    Lateral ones are left out. The split is drawn by patient; a picture without one counts as a
    patient of its own. The published lung masks are of other sizes than the pictures and are left
    out as well.

    Args:
        folder: Holds ``index.csv`` and ``images/``.
    """
    frontal = {
        Path(row["file"]).stem: row for row in rows_of(folder / "index.csv") if row["view"] != "L"
    }
    patients = {stem: row["patientid"] or stem for stem, row in frontal.items()}
    splits = split_patients(patients.values())
    return [
        Case(
            case=stem,
            patient=patients[stem],
            split=splits[patients[stem]],
            image=folder / row["file"],
            label=_finding(row),
            modality="radiograph",
        )
        for stem, row in frontal.items()
    ]


def import_cxr_actualmed(folder: Path) -> list[Case]:
    """Radiographs of the Actualmed set whose pictures are there, all for the test.

    Args:
        folder: Holds ``metadata.csv`` and ``images/``.
    """
    pictures = _pictures_by_stem(folder / "images")
    return _external_radiographs(
        (Path(row["imagename"]).stem, row["patientid"], _finding(row), pictures)
        for row in rows_of(folder / "metadata.csv")
    )


def import_cxr_figure1(folder: Path) -> list[Case]:
    """Radiographs of the Figure 1 set, all for the test; ``COVID-00003a`` is of ``COVID-00003``.

    Args:
        folder: Holds ``metadata.csv`` and ``images/``.
    """
    pictures = _pictures_by_stem(folder / "images")
    return _external_radiographs(
        (row["patientid"], re.sub(r"(?<=\d)[a-z]$", "", row["patientid"]), _finding(row), pictures)
        for row in rows_of(folder / "metadata.csv")
    )


def import_covid_ct_md(folder: Path) -> list[Case]:
    """Whole series of COVID-CT-MD (Afshar et al. 2021) with their diagnosis, all for the test.

    Args:
        folder: Holds ``labels.csv`` and a folder of DICOM files for each series.
    """
    diagnoses = {row["volume"]: row["diagnosis"] for row in rows_of(folder / "labels.csv")}
    return [
        Case(case=name, patient=name, series=name, split="test", image=folder / name, label=label)
        for name, label in diagnoses.items()
    ]


def rows_of(table: Path) -> Iterator[dict[str, str]]:
    """Rows of a data set's own table.

    Raises:
        CohortError: If there is no such table, or it lacks a column.
    """
    if not table.is_file():
        raise CohortError(
            f"found no '{table.name}' in '{table.parent.name}', expected the table of the data "
            "set; check the folder"
        )
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        yield from csv.DictReader(file)


def _finding(row: Mapping[str, str]) -> str:
    finding = row["finding"].strip()
    return "" if finding in _NOT_JUDGED else finding


def _pictures_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise CohortError(
            f"found no '{folder.name}' in '{folder.parent.name}', expected the pictures of the "
            "data set; check the folder"
        )
    return {path.stem: path for path in sorted(folder.iterdir())}


def _external_radiographs(
    rows: Iterable[tuple[str, str, str, Mapping[str, Path]]],
) -> list[Case]:
    return [
        Case(
            case=name,
            patient=patient,
            split="test",
            image=pictures[name],
            label=label,
            modality="radiograph",
        )
        for name, patient, label, pictures in rows
        if name in pictures
    ]
