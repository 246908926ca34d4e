"""Stored values to Hounsfield units, and whether they can be Hounsfield units at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.oddities import Oddities

AIR_HU = -1024
"""Value of everything that was not scanned."""

_INT16 = np.iinfo(np.int16)
_EXPECTED = "Hounsfield units (air about -1000, water 0)"
_SMALLEST_SHARE = 0.005
"""Share of voxels that must be gas, and share that must be soft tissue, on a chest CT."""


@dataclass(slots=True)
class Tally:
    """What came by while stored values became Hounsfield units.

    Attributes:
        low: Smallest value.
        high: Largest value.
        not_finite: Values that are no number; they became air.
        cut: Values beyond int16, cut to its ends.
        surplus: Slices with more bytes of pixels than rows and columns need.
    """

    low: float = np.inf
    high: float = -np.inf
    not_finite: int = 0
    cut: int = 0
    surplus: int = 0

    def whole_units(
        self, stored: NDArray[np.generic], slope: float = 1.0, intercept: float = 0.0
    ) -> NDArray[np.int16]:
        """Stored values as whole Hounsfield units.

        Args:
            stored: A slice or a slab, any real type.
            slope: Hounsfield units per stored unit.
            intercept: Hounsfield units of a stored zero.
        """
        values: NDArray[Any]
        whole = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 4
        whole &= slope == 1 and float(intercept).is_integer() and abs(intercept) < 1e6
        if whole:
            values = stored.astype(np.int64 if stored.dtype.itemsize > 2 else np.int32)
            values += int(intercept)
        else:
            with np.errstate(all="ignore"):  # what overflows is not finite, and counted as such
                values = self._finite(stored.astype(np.float64) * slope + intercept)
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low < _INT16.min or high > _INT16.max:
            self.cut += int(np.count_nonzero((values < _INT16.min) | (values > _INT16.max)))
            values = np.clip(values, _INT16.min, _INT16.max)
        return (values if whole else np.rint(values)).astype(np.int16)

    def _finite(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        strange = ~np.isfinite(values)
        if strange.any():
            self.not_finite += int(np.count_nonzero(strange))
            values[strange] = AIR_HU
        return values


def check_hounsfield_units(voxels: NDArray[np.int16], tally: Tally, oddities: Oddities) -> None:
    """Refuse values that cannot be Hounsfield units of a chest.

    At least 0.5 % of the voxels must be gas (at most -500 HU) and 0.5 % soft tissue (-250 to
    250 HU). An offset of 1024 is taken off in place where the user tolerates it.

    Args:
        voxels: Whole units, shape (slice, row, column) in any order.
        tally: What came by on the way.
        oddities: Where to note or refuse.

    Raises:
        UnreadableScanError: With the range that was found.
    """
    if tally.not_finite:
        oddities.tolerate(
            "not-finite",
            found=f"{tally.not_finite} values that are no number (NaN or infinity)",
            expected="a number in every voxel",
            advice="export the scan again",
            done=f"they were read as air, {AIR_HU} HU",
        )
    _refuse_gray_values(voxels, tally)
    sample = _sample(voxels)
    if tally.low >= 0 and _looks_offset(sample):
        oddities.tolerate(
            "offset-1024",
            found=f"values {tally.low:g} to {tally.high:g}, which look like Hounsfield units "
            "plus 1024",
            expected=_EXPECTED,
            advice="write the file again with 1024 taken off",
            done="1024 was subtracted",
        )
        np.subtract(voxels, 1024, out=voxels)
        sample = _sample(voxels)
    _refuse_other_values(sample, tally)
    _note_cut_values(sample, voxels.size, tally, oddities)


def _refuse_gray_values(voxels: NDArray[np.int16], tally: Tally) -> None:
    low, high = tally.low, tally.high
    span = f"values {low:g} to {high:g}"
    if low == high:
        raise UnreadableScanError(
            f"found the single value {low:g} in every voxel, expected {_EXPECTED}; "
            "the scan is blank, export it again"
        )
    if low >= -1.5 and high <= 1.5:
        raise UnreadableScanError(
            f"found {span}, which look like a mask or like values scaled for a network, "
            f"expected {_EXPECTED}; give the scan itself"
        )
    if low >= 0 and high <= 255:
        kind = "a label map" if np.unique(_sample(voxels)).size <= 16 else "gray values"
        raise UnreadableScanError(
            f"found {span}, which look like {kind}, expected {_EXPECTED}; give the scan itself, "
            "or PNG pictures if Hounsfield units are lost"
        )


def _refuse_other_values(sample: NDArray[np.int16], tally: Tally) -> None:
    gas = float(np.mean(sample <= -500))
    soft = float(np.mean(np.abs(sample) <= 250))
    if gas < _SMALLEST_SHARE or soft < _SMALLEST_SHARE:
        raise UnreadableScanError(
            f"found values {tally.low:g} to {tally.high:g} with {gas:.1%} gas and {soft:.1%} soft "
            f"tissue, expected {_EXPECTED} with at least {_SMALLEST_SHARE:.1%} of each; "
            "check that this is a chest CT and that no window was applied"
        )


def _note_cut_values(
    sample: NDArray[np.int16], size: int, tally: Tally, oddities: Oddities
) -> None:
    if tally.cut > size * _SMALLEST_SHARE:
        raise UnreadableScanError(
            f"found values {tally.low:g} to {tally.high:g}, expected {_EXPECTED} within "
            f"{_INT16.min} and {_INT16.max}; check the rescale of the scan"
        )
    if tally.cut:
        oddities.note(
            "cut-values",
            f"Found {tally.cut} values beyond {_INT16.min} to {_INT16.max} HU; "
            "they were cut to these ends.",
        )
    ceiling = int(sample.max())
    if ceiling < 1000 and np.mean(sample == ceiling) > 0.001:
        oddities.note(
            "clipped",
            f"Found values that end at {ceiling} HU as if cut off; denser tissue cannot be told "
            "apart.",
        )


def _looks_offset(sample: NDArray[np.int16]) -> bool:
    shifted = sample.astype(np.int32) - 1024
    gas, soft = np.mean(shifted <= -500), np.mean(np.abs(shifted) <= 250)
    return bool(gas >= _SMALLEST_SHARE and soft >= _SMALLEST_SHARE and shifted.max() > 50)


def _sample(voxels: NDArray[np.int16]) -> NDArray[np.int16]:
    """A copy of about four million voxels at most, evenly spread."""
    step = max(1, int(np.cbrt(voxels.size / 4e6)) + (voxels.size > 4e6))
    return voxels[::step, ::step, ::step].copy()
