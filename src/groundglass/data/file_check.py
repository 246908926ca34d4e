"""Whether the files of cases are sound: there, pictures, and masks that fit them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.data.case import Case, read_gray
from groundglass.errors import CohortError


def find_faults(cases: Sequence[Case]) -> list[str]:
    """One line for each fault of a file, in the order of the cases."""
    return [fault for case in cases for fault in _faults_of(case)]


def refuse_faults(faults: Sequence[str]) -> None:
    """Make sure that there are none.

    Raises:
        CohortError: If there are.
    """
    if faults:
        more = f" and {len(faults) - 1} more faults" if len(faults) > 1 else ""
        raise CohortError(
            f"found {faults[0]}{more}, expected sound files; correct the table or the files: "
            "'groundglass data check' lists every fault"
        )


def _faults_of(case: Case) -> list[str]:
    if case.is_series:
        empty = not any(path.is_file() for path in case.image.rglob("*"))
        return [f"case '{case.case}': the folder of its series is empty"] if empty else []
    faults, pictures = [], {}
    for column, path in case.files.items():
        pixels, fault = _read_sound(path)
        if pixels is None:
            faults.append(f"case '{case.case}': {column} file {fault}")
        else:
            pictures[column] = pixels
    picture = pictures.pop("image", None)
    for column, mask in pictures.items():
        if picture is not None and mask.shape != picture.shape:
            sizes = [" x ".join(map(str, pixels.shape)) for pixels in (mask, picture)]
            faults.append(
                f"case '{case.case}': {column} of {sizes[0]} pixels, an image of {sizes[1]}"
            )
        faults += _strange_values(case, column, mask)
    return faults


def _strange_values(case: Case, column: str, mask: NDArray[np.uint8]) -> list[str]:
    strange = sorted(set(np.unique(mask).tolist()) - case.values(column))
    if not strange:
        return []
    listed = ", ".join(map(str, strange[:5])) + (" ..." if len(strange) > 5 else "")
    return [f"case '{case.case}': {column} with {listed}, which {column}_values does not name"]


def _read_sound(path: Path) -> tuple[NDArray[np.uint8] | None, str]:
    if not path.is_file():
        return None, f"'{path}' missing"
    try:
        return read_gray(path), ""
    except CohortError:
        pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
        if pixels is None:
            return None, f"'{path}', which is no picture"
        return None, f"'{path}' with {8 * pixels.itemsize} bits a value, not 8"
