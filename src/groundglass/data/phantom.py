"""A synthetic thorax with known lungs, lobes and lesions: no patient, no symmetry."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from groundglass.data.phantom_anatomy import Thorax
from groundglass.data.phantom_canvas import HEIGHT_MM, WIDTH_MM, Canvas
from groundglass.data.phantom_lesions import DEFAULT_LESIONS, LesionSpec, draw_lesions
from groundglass.data.phantom_lungs import LOBES_OF, lobes_of, paint_lungs
from groundglass.data.phantom_organs import AIR_HU, paint_airways, paint_body, paint_table
from groundglass.labels import OPACITIES, Lesion, Lobe, Lung
from groundglass.mask import Mask
from groundglass.scan import AXES, CTScan, Source

__all__ = ["DEFAULT_LESIONS", "LesionSpec", "Phantom", "make_phantom"]

CENTER_MM = (12.5, -141.0, -310.0)
"""Middle of every phantom in the patient's space; not the origin, so that a lost origin shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic chest CT and everything there is to find on it.

    Attributes:
        scan: The scan.
        lungs: Label set ``Lung``: the lungs with their vessels, without trachea, main bronchi
            and effusion.
        lesions: Label set ``Lesion``.
        lobes: Label set ``Lobe``; every lung voxel belongs to one.
        truth: Volumes in ml and percentages, such as ``right_lung_volume_ml``,
            ``right_lower_lobe_ground_glass_percent``, ``opacity_percent`` (of both lungs) and
            ``pleural_effusion_ml``. Opacity is all that counts as opacified lung.
    """

    scan: CTScan
    lungs: Mask
    lesions: Mask
    lobes: Mask
    truth: dict[str, float]


def make_phantom(
    seed: int = 0,
    *,
    shape: tuple[int, int, int] = (120, 256, 256),
    spacing_mm: tuple[float, float, float] | None = None,
    lesions: Sequence[LesionSpec] | None = None,
    noise_hu: float = 18.0,
    oesophagus_air: bool = True,
) -> Phantom:
    """A synthetic thorax that lies on its back.

    Args:
        seed: One seed is one patient with one noise, at any shape and spacing.
        shape: Slices, rows and columns.
        spacing_mm: Distance between voxels along slice, row and column. By default such that
            the whole thorax fills the shape; less cuts the body at the field of view.
        lesions: What to find; ``()`` for healthy lungs, by default ``DEFAULT_LESIONS``.
        noise_hu: Standard deviation of the noise in Hounsfield units.
        oesophagus_air: Whether there is air in the oesophagus.

    Raises:
        ConfigError: If the lesions of a lobe do not fit into it.
    """
    spacing = spacing_mm or (HEIGHT_MM / shape[0], WIDTH_MM / shape[1], WIDTH_MM / shape[2])
    thorax = Thorax.of(seed)
    canvas = Canvas.blank(shape, spacing, AIR_HU)
    lobes = np.concatenate([lobes_of(slab, thorax) for slab in canvas.slabs()])
    specs = DEFAULT_LESIONS if lesions is None else lesions
    found = draw_lesions(canvas, lobes, specs, seed)
    for slab in canvas.slabs():
        paint_table(slab, thorax)
        paint_body(slab, thorax)
    paint_lungs(canvas, thorax, lobes, found, seed)
    paint_airways(canvas, oesophagus_air=oesophagus_air)
    scan = _scan(_as_scanned(canvas, noise_hu, seed), spacing, seed)
    lungs = np.zeros(shape, np.uint8)
    for lung, parts in LOBES_OF.items():
        lungs[np.isin(lobes, parts)] = lung
    masks = Mask.on(scan, lungs, Lung), Mask.on(scan, found, Lesion), Mask.on(scan, lobes, Lobe)
    return Phantom(scan, *masks, _truth(*masks))


def _as_scanned(canvas: Canvas, noise_hu: float, seed: int) -> NDArray[np.int16]:
    """Blurred like a reconstruction, with noise that neighboring pixels share."""
    rng = np.random.default_rng([seed, 3])
    values = canvas.values
    for number, pixels in enumerate(values):
        noise = rng.standard_normal(pixels.shape, np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), 0.8)
        noise *= noise_hu / max(float(noise.std()), 1e-6)
        values[number] = cv2.GaussianBlur(pixels, (0, 0), 0.6) + noise
    np.clip(np.rint(values, out=values), -1024, 3071, out=values)
    return values.astype(np.int16)


def _scan(values: NDArray[np.int16], spacing: tuple[float, float, float], seed: int) -> CTScan:
    voxels = hd.Volume.from_components(
        array=values,
        spacing=spacing,
        center_position=CENTER_MM,
        patient_orientation=AXES,
        coordinate_system="PATIENT",
        frame_of_reference_uid=generate_uid(entropy_srcs=["groundglass phantom frame", str(seed)]),
    )
    return CTScan(voxels, Source("phantom", "phantom", {"seed": str(seed)}))


def _truth(lungs: Mask, lesions: Mask, lobes: Mask) -> dict[str, float]:
    """Volumes and percentages of every lung and lobe."""
    size = int(max(Lesion)) + 1
    pairs = lobes.array.astype(np.intp) * size + lesions.array
    table = np.bincount(pairs.ravel(), minlength=(int(max(Lobe)) + 1) * size).reshape(-1, size)
    regions = {"lung": table[1:].sum(axis=0)}
    for lung, parts in LOBES_OF.items():
        regions[f"{lung.name.lower()}_lung"] = table[list(parts)].sum(axis=0)
    for lobe in Lobe:
        regions[f"{lobe.name.lower()}_lobe"] = table[lobe]
    truth: dict[str, float] = {}
    for name, counts in regions.items():
        prefix = "" if name == "lung" else f"{name}_"
        total = int(counts.sum())
        truth[f"{name}_volume_ml"] = total * lungs.voxel_volume_ml
        shares = {k.name.lower(): counts[k] for k in (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)}
        shares["opacity"] = counts[list(OPACITIES)].sum()
        for kind, voxels in shares.items():
            truth[f"{prefix}{kind}_percent"] = 100.0 * int(voxels) / max(total, 1)
            truth[f"{prefix}{kind}_ml"] = int(voxels) * lungs.voxel_volume_ml
    effusion = int((lesions.array == Lesion.PLEURAL_EFFUSION).sum())
    truth["pleural_effusion_ml"] = effusion * lungs.voxel_volume_ml
    return truth
