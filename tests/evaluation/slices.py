"""A few slices with known truth, and a system whose answers are known."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTSlices
from groundglass.systems import load_card
from groundglass.systems.card import Card

SHAPE = (8, 10)


def write_case(
    folder: Path,
    name: str,
    lesions: NDArray[np.uint8] | None = None,
    *,
    patient: str = "p",
    lungs: NDArray[np.uint8] | None = None,
    values: str = "1:1 2:2 3:3",
    split: str = "test",
) -> Case:
    """A slice whose gray values are 40 times its lesion numbers; without a mask it has none."""
    masks = {"lungs": lungs, "lesions": lesions}
    gray = np.zeros(SHAPE, np.uint8) if lesions is None else lesions * np.uint8(40)
    cv2.imwrite(str(folder / f"{name}.png"), gray)
    for kind, mask in masks.items():
        if mask is not None:
            cv2.imwrite(str(folder / f"{name}-{kind}.png"), mask)
    return Case.model_validate(
        {
            "case": name,
            "patient": patient,
            "split": split,
            "image": folder / f"{name}.png",
            "lungs": None if lungs is None else folder / f"{name}-lungs.png",
            "lungs_values": "" if lungs is None else "1:both",
            "lesions": "none" if lesions is None else folder / f"{name}-lesions.png",
            "lesions_values": "" if lesions is None else values,
        }
    )


def block(rows: slice, columns: slice, number: int = 1) -> NDArray[np.uint8]:
    """A mask with one rectangle."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[rows, columns] = number
    return mask


class KnownSystem:
    """Finds the lungs everywhere and lesions as it is told, slice by slice.

    Args:
        probabilities: Probability of lesion for each call.
        dense: Share of it that is consolidation.
    """

    device = "cpu"

    def __init__(self, probabilities: Sequence[NDArray[np.float32]], dense: float = 0.0) -> None:
        self.card: Card = load_card("baseline_unet")
        self.answers = iter(probabilities)
        self.dense = dense

    def find_lungs(self, scan: CTSlices, _progress: object = None) -> Mask:
        return Mask.on(scan, [np.ones(s.shape, np.uint8) for s in scan.slices], Lung)

    def segment(self, scan: CTSlices, _lungs: Mask, _progress: object = None) -> Mask:
        found = [next(self.answers) >= 0.5 for _ in scan.slices]
        return Mask.on(scan, [f * np.uint8(Lesion.GROUND_GLASS) for f in found], Lesion)

    def lesion_probability(self, _pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.last = next(self.answers)
        return self.last

    def kind_probabilities(self, _pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([self.last * (1 - self.dense), self.last * self.dense]).astype(np.float32)
