"""The slices of the China National Center for Bioinformation, turned into cohort tables."""

import re
from pathlib import Path

from groundglass.data.case import Case, Split
from groundglass.data.splits import split_patients
from groundglass.errors import CohortError
from groundglass.labels import Lesion

COVIDX_CLASSES = {"0": "control", "1": "pneumonia", "2": "COVID-19"}
"""Numbers of classes in the split files of COVIDx-CT: normal, other pneumonia, COVID-19."""

_PICTURES = (".jpg", ".jpeg", ".png")
_CNCB_LUNGS = "1:both 2:both 3:both"
_CNCB_LESIONS = f"1:0 2:{int(Lesion.GROUND_GLASS)} 3:{int(Lesion.CONSOLIDATION)}"
_NAME_OF_SLICE = re.compile(r"(?P<kind>NCP|CP|Normal)_(?P<patient>\d+)_(?P<scan>\d+)_\d+")
_LAST_NUMBER = re.compile(r"[-_](IM)?\d+$")
_PATIENT_OF_SERIES = re.compile(r"(A\d+)(?=-)|.+?(?=_SR_\d+$)|.+")
"""Series of Stony Brook are named ``A000123-STUDY-5``, those of COVID-CTSet
``137covid_patient59_SR_3``; patients of other sources have one."""

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


def import_cncb_lesions(folder: Path) -> list[Case]:
    """Slices of CNCB-NCOV (Zhang et al. 2020) with lungs, ground-glass opacity and consolidation.

    The set has no split; it is drawn by patient.

    Args:
        folder: Holds ``image/PATIENT/SLICE.jpg`` and ``mask/PATIENT/SLICE.png``, whose values are
            1 lung, 2 ground-glass opacity, 3 consolidation.

    Raises:
        CohortError: If there is no such picture, or one has no mask.
    """
    pictures = sorted(p for p in (folder / "image").glob("*/*.*") if is_picture(p))
    if not pictures:
        raise CohortError(
            f"found no 'image/PATIENT/SLICE.jpg' in '{folder.name}', expected the lesion masks of "
            "CNCB-NCOV as unpacked; check the folder"
        )
    masks = {(m.parent.name, m.stem): m for m in (folder / "mask").glob("*/*") if is_picture(m)}
    splits = split_patients(picture.parent.name for picture in pictures)
    cases = []
    for picture in pictures:
        patient = picture.parent.name
        mask = masks.get((patient, picture.stem))
        if mask is None:
            raise CohortError(
                f"found 'image/{patient}/{picture.name}' without a mask, expected "
                f"'mask/{patient}/{picture.stem}.png'; unpack the set again"
            )
        cases.append(
            Case(
                case=f"cncb_{patient}_{picture.stem}",
                patient=f"cncb_{patient}",
                split=splits[patient],
                image=picture,
                lungs=mask,
                lungs_values=_CNCB_LUNGS,
                lesions=mask,
                lesions_values=_CNCB_LESIONS,
            )
        )
    return cases


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name; not what a Mac leaves beside it."""
    return path.suffix.lower() in _PICTURES and not path.name.startswith(".")


def import_covidx_ct(folder: Path) -> list[Case]:
    """Slices of COVIDx-CT (Gunraj et al. 2020) with their class, in their published split.

    Patient and scan are told from names such as ``NCP_96_1328_0032.png``; where a name is of
    another source, all before its last number is the series. The boxes of the body that the split
    files give are left out. From its third version on, the set holds COVID-CT-MD as well.

    Args:
        folder: Holds ``train_COVIDx*.txt``, ``val_...`` and ``test_...``, each line a file name,
            the number of its class and a box, and the pictures beside them or in one folder below.

    Raises:
        CohortError: If a split file is missing, or a line of one is wrong.
    """
    pictures = {path.name: path for path in (*folder.glob("*.png"), *folder.glob("*/*.png"))}
    return [
        _slice_of(line, split, pictures, file.name)
        for split in _SPLITS
        for file in [_split_file(folder, split)]
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def _split_file(folder: Path, split: Split) -> Path:
    files = sorted(folder.glob(f"{split}_COVIDx*.txt"))
    if len(files) != 1:
        raise CohortError(
            f"found {len(files)} files '{split}_COVIDx*.txt' in '{folder.name}', expected one; "
            "check the folder, and take the split files of one version"
        )
    return files[0]


def _slice_of(line: str, split: Split, pictures: dict[str, Path], file: str) -> Case:
    name, number, *_ = [*line.split(), "", ""]
    if name not in pictures or number not in COVIDX_CLASSES:
        raise CohortError(
            f"found '{line[:80]}' in '{file}', expected the name of a picture that is there, and "
            f"a class of {', '.join(COVIDX_CLASSES)}; check the folder"
        )
    stem = Path(name).stem
    told = _NAME_OF_SLICE.fullmatch(stem)
    own = _LAST_NUMBER.sub("", stem)
    return Case(
        case=stem,
        patient=f"{told['kind']}_{told['patient']}" if told else _patient_of(own),
        series=f"{told['kind']}_{told['patient']}_{told['scan']}" if told else own,
        split=split,
        image=pictures[name],
        label=COVIDX_CLASSES[number],
    )


def _patient_of(series: str) -> str:
    told = _PATIENT_OF_SERIES.match(series)
    return told[0] if told else series
