"""Known public data sets, turned into cohort tables; pictures stay where they are."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from groundglass.data.case import Case, split_name
from groundglass.data.class_importers import (
    import_covid_ct,
    import_covid_ct_md,
    import_cxr_actualmed,
    import_cxr_figure1,
    import_cxr_ieee8023,
    rows_of,
)
from groundglass.data.cncb_importers import import_cncb_lesions, import_covidx_ct
from groundglass.data.semiseg_importers import (
    import_covid_semiseg,
    import_covid_semiseg_kinds,
    import_covid_semiseg_unlabeled,
)
from groundglass.data.splits import split_patients
from groundglass.data.volume_importers import import_covid_ct_seg_volumes, import_medseg_volumes
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
            number=int(Path(row["file"]).stem.rpartition("_")[2]),
            split=split_name(row["split"]),
            image=folder / "images" / row["file"],
            lungs=folder / "lung" / row["file"],
            lungs_values="255:both",
            lesions=folder / "infection" / row["file"],
            lesions_values=f"255:{int(Lesion.UNSPECIFIED)}",
        )
        for row in rows_of(folder / "index.csv")
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
            for row in rows_of(folder / "negatives.csv")
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
    rows = list(rows_of(folder / "index.csv"))
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
            group=row["group"],
        )
        for row in rows
    ]


def import_lidc_nodule_patches(folder: Path) -> list[Case]:
    """Pulmonary nodules of LIDC-IDRI (Armato et al. 2011), 50 x 50 pixels around each.

    The lesion is what any of four readers marked. The split is drawn by patient.

    Args:
        folder: Holds ``images/`` with ``PATIENT_..._union.png`` beside each picture.
    """
    masks = sorted((folder / "images").glob("*_union.png"))
    if not masks:
        raise CohortError(
            f"found no '*_union.png' in '{folder.name}/images', expected a mask beside each "
            "picture; check the folder"
        )
    names = {mask: mask.stem.removesuffix("_union") for mask in masks}
    splits = split_patients(name.partition("_")[0] for name in names.values())
    return [
        Case(
            case=name,
            patient=name.partition("_")[0],
            split=splits[name.partition("_")[0]],
            image=mask.with_name(f"{name}.png"),
            lesions=mask,
            lesions_values=f"255:{int(Lesion.UNSPECIFIED)}",
            label="nodule",
        )
        for mask, name in names.items()
    ]


IMPORTERS: dict[str, Callable[[Path], list[Case]]] = {
    "covid-ct-seg": import_covid_ct_seg,
    "medseg": import_medseg,
    "medseg-published": lambda folder: import_medseg(folder, "infnet_split"),
    "covid-semiseg": import_covid_semiseg,
    "covid-semiseg-kinds": import_covid_semiseg_kinds,
    "covid-semiseg-unlabeled": import_covid_semiseg_unlabeled,
    "cncb-lesions": import_cncb_lesions,
    "covidx-ct": import_covidx_ct,
    "covid-ct": import_covid_ct,
    "covid-ct-md": import_covid_ct_md,
    "cxr-ieee8023": import_cxr_ieee8023,
    "cxr-actualmed": import_cxr_actualmed,
    "cxr-figure1": import_cxr_figure1,
    "lidc-nodule-patches": import_lidc_nodule_patches,
}
"""Importers by the name that ``groundglass data import`` takes."""

VOLUME_IMPORTERS: dict[str, Callable[[Path, Path, Collection[str]], list[Case]]] = {
    "covid-ct-seg": import_covid_ct_seg_volumes,
    "medseg": import_medseg_volumes,
}
"""Importers of the sets as they are downloaded, where that is volumes; they write slices."""

_TORN = (
    "this published split tears slices of one look apart; 'groundglass data check' counts them, "
    "and 'medseg' with its table of groups does not"
)

REMARKS = {
    "medseg-published": _TORN,
    "covid-semiseg": _TORN,
    "covid-semiseg-kinds": _TORN,
    "covid-semiseg-unlabeled": "these are patients of COVID-19-CT-Seg; the masks beside them were "
    "made by a network and are left out",
    "cxr-ieee8023": "lateral radiographs and the published lung masks, which are of other sizes, "
    "are left out; the split is drawn by patient",
    "cxr-actualmed": "radiographs without a picture are left out; all are for the test",
    "cxr-figure1": "all are for the test",
    "covid-ct-md": "each case is a whole series; all are for the test",
    "lidc-nodule-patches": "the split is drawn by patient",
    "cncb-lesions": "the split is drawn by patient",
}
"""What a person should know who imports a data set."""

VOLUME_REMARKS = {
    "covid-ct-seg": "slices without lung are left out; patients 002, 003 and 009 of coronacases "
    "and 7 and 27 of Radiopaedia are held out, as for BENCHMARKS.md; licenses of the sources "
    "conflict (CC BY 4.0, CC BY-NC-SA 4.0), the stricter is safe",
    "medseg": "the set does not tell patients: all slices count as one, to learn from",
}
"""The same, where the set is volumes."""


def has_volumes(name: str, folder: Path) -> bool:
    """Whether a folder holds a data set as downloaded, in volumes, and not pictures and a table."""
    return name in VOLUME_IMPORTERS and not (folder / "index.csv").is_file()


def import_cases(
    name: str, folder: Path, slices: Path | None = None, tolerate: Collection[str] = ()
) -> list[Case]:
    """Cases of a known public data set.

    Args:
        name: Name in ``IMPORTERS``.
        folder: The data set.
        slices: New folder for the slices of volumes; beside the data set if not given. Nothing is
            left of it where a volume is refused.
        tolerate: Names in ``groundglass.read.TOLERABLE``, for volumes.

    Raises:
        UnknownNameError: If the layout is not known.
        CohortError: If the folder does not have that layout, or the one for slices is not new.
        UnreadableScanError: If a volume cannot be read faithfully.
    """
    if name not in IMPORTERS:
        raise UnknownNameError.of("data set", name, IMPORTERS)
    folder = folder.resolve()
    if has_volumes(name, folder):
        slices = slices or folder.with_name(f"{folder.name}-slices")
        return _import_volumes(name, folder, slices.resolve(), tolerate)
    try:
        return IMPORTERS[name](folder)
    except KeyError as error:
        raise CohortError(
            f"found no column {error} in the table of '{folder.name}', expected the layout of "
            f"{name}; check the name and the folder"
        ) from None


def _import_volumes(name: str, folder: Path, slices: Path, tolerate: Collection[str]) -> list[Case]:
    if slices.exists():
        raise CohortError(
            f"found '{slices.name}' in the place for the slices, expected nothing there; remove it "
            "or name another table"
        )
    try:
        return VOLUME_IMPORTERS[name](folder, slices, tolerate)
    except BaseException:  # also where someone stops it
        shutil.rmtree(slices, ignore_errors=True)
        raise
