"""The lung network on consolidated lungs of real patients; with a picture on request."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.intensity import window_hu
from groundglass.systems.scan_lungs import find_scan_lungs
from tests.lungs.test_real_dense import measured, volume_of

pytestmark = [pytest.mark.reference, pytest.mark.slow]

RED, GREEN, WHITE = (60, 60, 230), (80, 200, 80), (255, 255, 255)


@pytest.mark.parametrize("patient", ["coronacases_003", "coronacases_009"])
def test_the_network_keeps_consolidation_at_the_chest_wall(patient):
    volume = volume_of(patient)
    _, lost = measured(*volume, "threshold")
    dice, kept = measured(*volume, "unet")
    assert dice > 0.97
    assert kept < lost
    folder = os.environ.get("GROUNDGLASS_PICTURES")
    if folder:
        draw(*volume, Path(folder) / f"lungs_{patient}.png")


def draw(scan, lungs, lesions, file):
    """The two slices where a threshold loses most of the lesion: by threshold, and by network."""
    ways = {m: find_scan_lungs(scan, m)[0].array > 0 for m in ("threshold", "unet")}
    lost = (lesions & ~ways["threshold"]).sum((1, 2))
    worst = int(lost.argmax())
    far = np.where(np.abs(np.arange(len(lost)) - worst) > 15, lost, 0)
    rows, columns = (np.flatnonzero(lungs.any(axes)) for axes in ((0, 2), (0, 1)))
    inside = np.s_[rows[0] - 12 : rows[-1] + 12, columns[0] - 12 : columns[-1] + 12]
    strips = []
    for number in (worst, int(far.argmax())):
        gray = (255 * window_hu(scan.slices[number][inside])).clip(0, 255).astype(np.uint8)
        panels = [
            outlined(gray, ((lungs[number][inside], WHITE), (found[number][inside], color)))
            for found, color in zip(ways.values(), (RED, GREEN), strict=True)
        ]
        strips.append(np.hstack(panels))
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.vstack(strips))


def outlined(gray, masks, scale=2):
    """A slice, enlarged, with the edges of masks."""
    picture = cv2.cvtColor(cv2.resize(gray, None, fx=scale, fy=scale), cv2.COLOR_GRAY2BGR)
    for mask, color in masks:
        large = np.kron(mask.astype(np.uint8), np.ones((scale, scale), np.uint8))
        edges, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, color, 1)
    return picture
