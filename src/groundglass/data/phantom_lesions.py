"""Lesions of known kind, lobe and size for the phantom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.data.phantom_canvas import Canvas
from groundglass.data.phantom_texture import Waves
from groundglass.errors import ConfigError
from groundglass.labels import Lesion, Lobe


@dataclass(frozen=True, slots=True)
class LesionSpec:
    """A lesion that the phantom is to have.

    Attributes:
        kind: Ground glass or consolidation, which lie in the lobe, or pleural effusion, which
            presses it away from the chest wall.
        lobe: Where it lies.
        percent_of_lobe: Its volume as a percentage of the lobe, which is what an effusion has
            left of it; for the effusion itself, of the lobe before.

    Raises:
        ConfigError: For another kind, or a percentage outside 0 to 100.
    """

    kind: Lesion
    lobe: Lobe
    percent_of_lobe: float

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.kind is Lesion.UNSPECIFIED:
            raise ConfigError(
                "found a lesion of unknown kind, expected one the phantom can draw; "
                "choose ground glass, consolidation or pleural effusion"
            )
        if not 0.0 < self.percent_of_lobe <= 100.0:
            raise ConfigError(
                f"found a lesion of {self.percent_of_lobe:g} % of its lobe, expected more than "
                "0 and at most 100; give its share of the lobe in per cent"
            )


DEFAULT_LESIONS: tuple[LesionSpec, ...] = (
    LesionSpec(Lesion.PLEURAL_EFFUSION, Lobe.RIGHT_LOWER, 4.0),
    LesionSpec(Lesion.GROUND_GLASS, Lobe.RIGHT_LOWER, 14.0),
    LesionSpec(Lesion.GROUND_GLASS, Lobe.LEFT_UPPER, 6.0),
    LesionSpec(Lesion.CONSOLIDATION, Lobe.LEFT_LOWER, 9.0),
)
"""What a phantom has unless told otherwise; no two lobes alike."""


def draw_lesions(
    canvas: Canvas, lobes: NDArray[np.uint8], specs: Sequence[LesionSpec], seed: int
) -> NDArray[np.uint8]:
    """Label numbers of the lesions on the grid of the canvas.

    Effusions come first and leave the lobes: their voxels become background in ``lobes``.

    Args:
        canvas: Grid; its values are not touched.
        lobes: Lobe numbers, changed in place.
        specs: What to draw. Lesions of one lobe do not overlap.
        seed: Chooses where in the lobe they lie.

    Raises:
        ConfigError: If the lesions of a lobe do not fit into it.
    """
    lesions = np.zeros(lobes.shape, np.uint8)
    order = sorted(enumerate(specs), key=lambda s: s[1].kind is not Lesion.PLEURAL_EFFUSION)
    for number, spec in order:
        effusion = spec.kind is Lesion.PLEURAL_EFFUSION
        lobe = lobes == spec.lobe
        places = np.nonzero(lobe & (lesions == 0))
        wanted = round(spec.percent_of_lobe / 100.0 * int(lobe.sum()))
        if wanted > len(places[0]):
            raise ConfigError(
                f"found lesions that fill more than the {spec.lobe.title}, expected at most "
                "100 % in all; make them smaller or move one to another lobe"
            )
        if wanted == 0:
            continue
        x, y, z = canvas.positions(places)
        field = (
            _pool(x, y, z) if effusion else _blob(x, y, z, np.random.default_rng([seed, 7, number]))
        )
        chosen = np.argpartition(field, wanted - 1)[:wanted]
        lesions[tuple(p[chosen] for p in places)] = spec.kind
        if effusion:
            lobes[tuple(p[chosen] for p in places)] = 0
    return lesions


def _pool(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Smallest where fluid gathers first in a patient who lies on the back: behind and below."""
    return -(y + np.float32(0.16) * z + np.float32(0.0012) * (np.abs(x) - 50) ** 2)


def _blob(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    z: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Smallest in the middle of a patch under the pleura."""
    tries = rng.integers(len(x), size=64)
    # pneumonia of this kind sits under the pleura and behind
    outward = np.abs(x[tries]) + 0.6 * y[tries] + rng.uniform(0, 60, size=64)
    center = tries[int(np.argmax(outward))]
    away = (x - x[center]) ** 2 + (y - y[center]) ** 2 + np.float32(0.7) * (z - z[center]) ** 2
    field: NDArray[np.float32] = np.sqrt(away) + np.float32(7.0) * Waves.of(34.0, rng)(x, y, z)
    return field
