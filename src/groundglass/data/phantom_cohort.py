"""A cohort of phantoms: many small volumes of known class, with lesions on known slices."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundglass.data.case import Split
from groundglass.data.cohort import Case, write_cohort
from groundglass.data.phantom import LesionSpec, Phantom, make_phantom
from groundglass.data.phantom_files import write_nifti
from groundglass.data.splits import split_patients
from groundglass.errors import OutputError
from groundglass.labels import OPACITIES, Lesion, Lobe

HEALTHY, DISEASED = "healthy", "pneumonia"

LABELS = "labels.csv"
"""Labels of each slice beside the volumes, for measuring alone; as covid-ct-md has them."""

_COLUMNS = ("volume", "diagnosis", "slice_location", "infected")


@dataclass(frozen=True, slots=True)
class PhantomCohort:
    """What a cohort of phantoms is made of.

    Attributes:
        volumes: Number of volumes, each of a patient of its own.
        shape: Slices, rows and columns at most; the number of slices varies by a fifth below.
        seed: Seed of the cohort.
        diseased_share: Share of volumes with pneumonia.
        lesions: Fewest and most lesions of one of them.
        percent_of_lobe: Smallest and largest lesion, as a percentage of its lobe.
        noise_hu: Least and most noise.
    """

    volumes: int = 240
    shape: tuple[int, int, int] = (48, 160, 160)
    seed: int = 0
    diseased_share: float = 0.5
    lesions: tuple[int, int] = (1, 3)
    percent_of_lobe: tuple[float, float] = (3.0, 25.0)
    noise_hu: tuple[float, float] = (10.0, 30.0)


def write_phantom_cohort(
    made_of: PhantomCohort, folder: Path, progress: Callable[[float], None] | None = None
) -> Path:
    """Write a cohort: a folder of each volume, ``cohort.csv`` and ``labels.csv``.

    The cohort table has nothing but the class of each volume. Which slices show lesion stands in
    ``labels.csv`` and serves to measure, never to train.

    Args:
        made_of: What it is made of.
        folder: New or empty.
        progress: Told how far it is.

    Returns:
        The cohort table.

    Raises:
        OutputError: If the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"found files in '{folder}', expected none; choose an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    cases, labels = [], []
    splits = _splits(made_of)
    for done, (name, label, phantom) in enumerate(_phantoms(made_of), start=1):
        (folder / name).mkdir()
        write_nifti(phantom.scan, folder / name)
        image = Path(name)
        cases.append(
            Case(case=name, patient=name, series=name, split=splits[name], image=image, label=label)
        )
        labels += _slice_labels(name, label, phantom)
        if progress is not None:
            progress(done / made_of.volumes)
    with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(labels)
    write_cohort(cases, folder / "cohort.csv")
    return folder / "cohort.csv"


def _names(made_of: PhantomCohort) -> list[str]:
    return [f"phantom-{number:04d}" for number in range(made_of.volumes)]


def _diseased(made_of: PhantomCohort) -> list[bool]:
    """Whether each volume shows pneumonia."""
    order = np.random.default_rng((made_of.seed, 0)).permutation(made_of.volumes)
    chosen = set(order[: round(made_of.diseased_share * made_of.volumes)].tolist())
    return [number in chosen for number in range(made_of.volumes)]


def _splits(made_of: PhantomCohort) -> dict[str, Split]:
    """Split of each volume; each class is split by itself, so that all splits have both."""
    splits: dict[str, Split] = {}
    for wanted in (False, True):
        pairs = zip(_names(made_of), _diseased(made_of), strict=True)
        own = [name for name, diseased in pairs if diseased == wanted]
        splits |= split_patients(own, made_of.seed)
    return splits


def _phantoms(made_of: PhantomCohort) -> Iterator[tuple[str, str, Phantom]]:
    """Name, class and volume of each."""
    diseased = _diseased(made_of)
    for number, name in enumerate(_names(made_of)):
        random = np.random.default_rng((made_of.seed, 1, number))
        most, *in_plane = made_of.shape
        slices = int(random.integers(max(1, round(0.8 * most)), most + 1))
        lesions = _draw_lesions(made_of, random) if diseased[number] else ()
        phantom = make_phantom(
            int(random.integers(2**31)),
            shape=(slices, in_plane[0], in_plane[1]),
            lesions=lesions,
            noise_hu=float(random.uniform(*made_of.noise_hu)),
            oesophagus_air=bool(random.random() < 0.5),
        )
        yield name, DISEASED if diseased[number] else HEALTHY, phantom


def _draw_lesions(made_of: PhantomCohort, random: np.random.Generator) -> tuple[LesionSpec, ...]:
    fewest, most = made_of.lesions
    count = int(random.integers(fewest, most + 1))
    lobes = [list(Lobe)[k] for k in random.permutation(len(Lobe))[:count].tolist()]
    kinds = (Lesion.GROUND_GLASS, Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)
    return tuple(
        LesionSpec(
            kinds[int(random.integers(len(kinds)))],
            lobe,
            float(random.uniform(*made_of.percent_of_lobe)),
        )
        for lobe in lobes
    )


def _slice_labels(name: str, label: str, phantom: Phantom) -> list[tuple[str, str, str, int]]:
    """A row for each slice from head to feet; the location falls towards the feet."""
    infected = [bool(pixels.any()) for pixels in phantom.lesions.where(*OPACITIES)]
    slice_mm = phantom.scan.spacing_mm[0]
    return [
        (name, label, f"{-index * slice_mm:.2f}", int(found))
        for index, found in enumerate(infected)
    ]
