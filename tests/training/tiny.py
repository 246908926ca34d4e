"""A cohort of small pictures, and settings with which a training takes a second."""

from pathlib import Path

import cv2
import numpy as np

from groundglass.data.cohort import Case, write_cohort
from groundglass.systems.card import home

SMOKE = home("baseline_unet") / "smoke.yaml"
QUICK = ("size_px=[32, 64]", "draws_per_epoch=8", "batch_size=2", "epochs=3", "devices=cpu")


def write_tiny_cohort(folder: Path) -> Path:
    """Two patients to learn from and one to judge by, two slices each."""
    random = np.random.default_rng(5)
    cases = []
    for patient, split in (("a", "train"), ("b", "train"), ("c", "val")):
        for k in range(2):
            lungs = np.zeros((40, 60), np.uint8)
            lungs[8:32, 6:26] = lungs[8:32, 34:54] = 255
            lesions = np.zeros_like(lungs)
            lesions[12 + 4 * k : 20 + 4 * k, 8:18] = 1
            gray = np.where(lungs > 0, 60, 220) + 80 * lesions + random.normal(0, 6, lungs.shape)
            name = folder / f"{patient}{k}"
            for kind, pixels in (("image", gray), ("lungs", lungs), ("lesions", lesions)):
                cv2.imwrite(f"{name}-{kind}.png", np.clip(pixels, 0, 255).astype(np.uint8))
            cases.append(
                Case(
                    case=name.name,
                    patient=patient,
                    split=split,
                    image=Path(f"{name}-image.png"),
                    lungs=Path(f"{name}-lungs.png"),
                    lungs_values="255:both",
                    lesions=Path(f"{name}-lesions.png"),
                    lesions_values="1:1",
                )
            )
    write_cohort(cases, folder / "cohort.csv")
    return folder / "cohort.csv"
