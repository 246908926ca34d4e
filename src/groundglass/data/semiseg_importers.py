"""COVID-SemiSeg, as Inf-Net was released with it, turned into cohort tables."""

import re
from pathlib import Path

from groundglass.data.case import Case, Split
from groundglass.data.cncb_importers import is_picture
from groundglass.data.volume_importers import split_of
from groundglass.errors import CohortError
from groundglass.labels import Lesion

LESION_VALUES = f"255:{int(Lesion.UNSPECIFIED)}"
KINDS_VALUES = f"38:{int(Lesion.GROUND_GLASS)} 75:{int(Lesion.CONSOLIDATION)}"
"""Dark red and dark green, in gray, as Inf-Net's own reader takes them."""

_LESION_FOLDERS: dict[Split, str] = {
    "train": "TrainingSet/LungInfection-Train/Doctor-label",
    "test": "TestingSet/LungInfection-Test",
}
_KINDS_FOLDERS: dict[Split, str] = {
    "train": "TrainingSet/MultiClassInfection-Train",
    "test": "TestingSet/MultiClassInfection-Test",
}
_UNLABELED_FOLDER = "TrainingSet/LungInfection-Train/Pseudo-label"
_NAME_OF_UNLABELED = re.compile(
    r"Data-\d+_(?:coronacases_org_(?P<coronacase>\d+)"
    r"|radiopaedia_org_covid-19-pneumonia-(?P<case>\d+)_(?P<study>\d+_\d+)-dcm)"
    r"_(?P<number>\d+)"
)


def import_covid_semiseg(folder: Path) -> list[Case]:
    """Slices of COVID-SemiSeg (Fan et al. 2020) with lesion, in their published split.

    Patients are not told and cross that split; each slice counts as a patient of its own.

    Args:
        folder: ``Dataset`` of Inf-Net's release, or the folder that holds it:
            ``TrainingSet/LungInfection-Train/Doctor-label`` and
            ``TestingSet/LungInfection-Test`` with ``Imgs/`` and ``GT/`` each.

    Raises:
        CohortError: If there is no such folder, or a picture has no mask.
    """
    return _labeled(folder, _LESION_FOLDERS, LESION_VALUES)


def import_covid_semiseg_kinds(folder: Path) -> list[Case]:
    """The same slices with ground-glass opacity and consolidation.

    Args:
        folder: As for :func:`import_covid_semiseg`; with
            ``TrainingSet/MultiClassInfection-Train`` and ``TestingSet/MultiClassInfection-Test``.

    Raises:
        CohortError: If there is no such folder, or a picture has no mask.
    """
    return _labeled(folder, _KINDS_FOLDERS, KINDS_VALUES)


def import_covid_semiseg_unlabeled(folder: Path) -> list[Case]:
    """The 1600 slices that Semi-Inf-Net labels itself, without those labels.

    They are of patients of COVID-19-CT-Seg, and have their names and their split.

    Args:
        folder: As for :func:`import_covid_semiseg`; with
            ``TrainingSet/LungInfection-Train/Pseudo-label/Imgs``.

    Raises:
        CohortError: If there is no such folder, or a name does not tell the patient.
    """
    return [_unlabeled(picture) for picture in _pictures_in(folder, _UNLABELED_FOLDER)]


def _labeled(folder: Path, folders: dict[Split, str], values: str) -> list[Case]:
    cases = []
    for split, place in folders.items():
        for picture in _pictures_in(folder, place):
            mask = picture.parents[1] / "GT" / f"{picture.stem}.png"
            if not mask.is_file():
                raise CohortError(
                    f"found '{place}/Imgs/{picture.name}' without a mask, expected "
                    f"'{place}/GT/{mask.name}'; unpack the set again"
                )
            name = f"semiseg_{picture.stem}"
            cases.append(
                Case(
                    case=name,
                    patient=name,
                    split=split,
                    image=picture,
                    lesions=mask,
                    lesions_values=values,
                )
            )
    return cases


def _pictures_in(folder: Path, place: str) -> list[Path]:
    for at in (folder, folder / "Dataset"):
        found = [path for path in sorted((at / place / "Imgs").glob("*")) if is_picture(path)]
        if found:
            return found
    raise CohortError(
        f"found no '{place}/Imgs' with pictures in '{folder.name}', expected the folder Dataset of "
        "Inf-Net's release with TrainingSet and TestingSet as unpacked; check the folder"
    )


def _unlabeled(picture: Path) -> Case:
    told = _NAME_OF_UNLABELED.fullmatch(picture.stem)
    if told is None:
        raise CohortError(
            f"found '{_UNLABELED_FOLDER}/Imgs/{picture.name}', expected a name such as "
            "Data-1_coronacases_org_001_12.jpg, which tells the patient; take the published files"
        )
    if told["coronacase"]:
        patient = series = f"coronacases_{told['coronacase']}"
    else:
        patient = f"radiopaedia_{told['case']}"
        series = f"{patient}_{told['study']}"
    return Case(
        case=picture.stem,
        patient=patient,
        series=series,
        number=int(told["number"]),
        split=split_of(patient),
        image=picture,
    )
