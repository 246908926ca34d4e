"""Known public data sets, turned into cohort tables; the data stay where they are."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from groundglass.data.cohort import Case, split_name
from groundglass.errors import CohortError, UnknownNameError
from groundglass.labels import Lesion


def import_covid_ct_seg(folder: Path) -> list[Case]:
    """Slices of COVID-19-CT-Seg (Ma et al. 2021) with lungs and infection masks.

    Args:
        folder: Holds ``index.csv``, ``images/``, ``lung/``, ``infection/`` and, if wanted,
            ``negatives.csv`` with ``negatives/``.
    """
    cases = [
        Case(
            case=Path(row["file"]).stem,
            patient=row["patient"],
            series=row["series"],
            split=split_name(row["split"]),
            image=folder / "images" / row["file"],
            lungs=folder / "lung" / row["file"],
            lungs_values="255:both",
            lesions=folder / "infection" / row["file"],
            lesions_values=f"255:{int(Lesion.UNSPECIFIED)}",
        )
        for row in _rows(folder / "index.csv")
    ]
    if (folder / "negatives.csv").is_file():
        cases += [
            Case(
                case=Path(row["file"]).stem,
                patient=row["patient"],
                series=row["series"],
                split=split_name(row["split"]),
                image=folder / "negatives" / row["file"],
                lesions="none",
            )
            for row in _rows(folder / "negatives.csv")
        ]
    return cases


def import_medseg(folder: Path, split_column: str = "grouped_split") -> list[Case]:
    """Slices of the MedSeg set with ground-glass opacity and consolidation.

    Every eighth visual group of the training part becomes the validation part.

    Args:
        folder: Holds ``index.csv``, ``images/`` and ``masks/``.
        split_column: ``grouped_split``, where no group crosses, or ``infnet_split``, the published
            one; that one tears groups apart, so each slice then counts as a patient of its own.
    """
    rows = list(_rows(folder / "index.csv"))
    by_group = split_column == "grouped_split"
    groups = sorted({r["group"] for r in rows if r[split_column] == "train"})
    held_out = set(groups[::8]) if by_group else set()
    return [
        Case(
            case=f"medseg_{int(row['id']):02d}",
            patient=f"medseg_{row['group'] if by_group else row['id']}",
            split="val" if row["group"] in held_out else split_name(row[split_column]),
            image=folder / "images" / f"{int(row['id']):02d}.png",
            lesions=folder / "masks" / f"{int(row['id']):02d}.png",
            lesions_values="1:1 2:2",
        )
        for row in rows
    ]


IMPORTERS: dict[str, Callable[[Path], list[Case]]] = {
    "covid-ct-seg": import_covid_ct_seg,
    "medseg": import_medseg,
    "medseg-published": lambda folder: import_medseg(folder, "infnet_split"),
}
"""Importers by the name that ``groundglass data import`` takes."""


def import_cases(name: str, folder: Path) -> list[Case]:
    """Cases of a known public data set.

    Raises:
        UnknownNameError: If the layout is not known.
        CohortError: If the folder does not have that layout.
    """
    if name not in IMPORTERS:
        raise UnknownNameError.of("data set", name, IMPORTERS)
    return IMPORTERS[name](folder.resolve())


def _rows(table: Path) -> Iterator[dict[str, str]]:
    if not table.is_file():
        raise CohortError(f"found no '{table.name}' in '{table.parent.name}'; check the folder")
    with table.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
