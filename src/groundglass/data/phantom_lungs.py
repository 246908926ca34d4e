"""The phantom's lungs: lobes, parenchyma, lesions, vessels and small airways."""

import numpy as np
from numpy.typing import NDArray

from groundglass.data.phantom_anatomy import HILA_MM, Thorax
from groundglass.data.phantom_canvas import Canvas
from groundglass.data.phantom_organs import BLOOD_HU
from groundglass.data.phantom_texture import Waves
from groundglass.data.phantom_vessels import grow_tree
from groundglass.labels import Lesion, Lobe, Lung

LOBES_OF = {
    Lung.RIGHT: (Lobe.RIGHT_UPPER, Lobe.RIGHT_MIDDLE, Lobe.RIGHT_LOWER),
    Lung.LEFT: (Lobe.LEFT_UPPER, Lobe.LEFT_LOWER),
}

AERATED_HU = -858.0
DEPENDENT_HU_PER_MM = 0.35
GROUND_GLASS_HU = (-550.0, -300.0)
CONSOLIDATION_HU = 34.0
EFFUSION_HU = 10.0
LUMEN_HU = -960.0
FISSURE_HU = -700.0


def lobes_of(canvas: Canvas, thorax: Thorax) -> NDArray[np.uint8]:
    """Number of the lobe that each voxel belongs to, 0 outside the lungs."""
    x, y, z = canvas.x, canvas.y, canvas.z
    right, left = thorax.right_lung(x, y, z), thorax.left_lung(x, y, z)
    upper_right = z < thorax.oblique_fissure(y, left=False)
    middle = upper_right & (z > thorax.horizontal_fissure(x, y))
    upper_left = z < thorax.oblique_fissure(y, left=True)
    lobes = np.zeros(canvas.values.shape, np.uint8)
    lobes[right] = Lobe.RIGHT_LOWER
    lobes[right & upper_right] = Lobe.RIGHT_UPPER
    lobes[right & middle] = Lobe.RIGHT_MIDDLE
    lobes[left] = Lobe.LEFT_LOWER
    lobes[left & upper_left] = Lobe.LEFT_UPPER
    return lobes


def paint_lungs(
    canvas: Canvas,
    thorax: Thorax,
    lobes: NDArray[np.uint8],
    lesions: NDArray[np.uint8],
    seed: int,
) -> None:
    """Give the lungs and their lesions Hounsfield units.

    Airways stay open where the lung around them is consolidated: air bronchograms.
    """
    rng = np.random.default_rng([seed, 2])
    _paint_parenchyma(canvas, thorax, lobes, rng)
    _paint_ground_glass(canvas, lesions, rng)
    _paint_consolidation(canvas, lesions, rng)
    for hilum, inside in zip(HILA_MM, (thorax.right_lung, thorax.left_lung), strict=True):
        vessels = grow_tree(np.array(hilum), inside, rng, ends=420, end_radius=0.55)
        vessels.paint(canvas, BLOOD_HU)
        airways = grow_tree(np.array(hilum), inside, rng, ends=90, end_radius=0.65)
        airways.paint(canvas, -250.0, grow=0.6)
        airways.paint(canvas, LUMEN_HU)
    canvas.paint(lesions == Lesion.PLEURAL_EFFUSION, EFFUSION_HU)


def _paint_parenchyma(
    canvas: Canvas, thorax: Thorax, lobes: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    texture = Waves.of(60.0, rng)
    where = np.nonzero(lobes)
    x, y, z = canvas.positions(where)
    # the dependent lung is a little denser
    values = AERATED_HU + DEPENDENT_HU_PER_MM * y + 10.0 * texture(x, y, z)
    right = np.isin(lobes[where], LOBES_OF[Lung.RIGHT])
    sheet = np.where(
        right, thorax.oblique_fissure(y, left=False), thorax.oblique_fissure(y, left=True)
    )
    fissure = np.abs(z - sheet) < 0.7 * canvas.voxel_mm
    minor = (lobes[where] == Lobe.RIGHT_MIDDLE) | (lobes[where] == Lobe.RIGHT_UPPER)
    fissure |= minor & (np.abs(z - thorax.horizontal_fissure(x, y)) < 0.6 * canvas.voxel_mm)
    values[fissure] = FISSURE_HU
    canvas.values[where] = values


def _paint_ground_glass(
    canvas: Canvas, lesions: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    coarse, fine = Waves.of(22.0, rng), Waves.of(8.0, rng)
    where = np.nonzero(lesions == Lesion.GROUND_GLASS)
    x, y, z = canvas.positions(where)
    low, high = GROUND_GLASS_HU
    values = (low + high) / 2 + 55.0 * coarse(x, y, z) + 45.0 * fine(x, y, z)
    canvas.values[where] = np.clip(values, low, high)


def _paint_consolidation(
    canvas: Canvas, lesions: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    texture = Waves.of(14.0, rng)
    where = np.nonzero(lesions == Lesion.CONSOLIDATION)
    canvas.values[where] = CONSOLIDATION_HU + 6.0 * texture(*canvas.positions(where))
