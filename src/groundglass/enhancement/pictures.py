"""Enhanced slices as pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.enhancement import ENHANCEMENTS
from groundglass.errors import OutputError, UnknownNameError
from groundglass.intensity import picture_gray, window_hu
from groundglass.scan import CTScan, Scan
from groundglass.write.folder import move_in_when_done
from groundglass.write.wording import file_names


def write_enhanced(
    scan: Scan,
    folder: Path,
    method: str,
    slices: Sequence[int] = (),
    progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Write slices of a scan, enhanced, as gray PNG in the lung window: all of them, or nothing.

    Args:
        scan: CT volume or pictures.
        folder: Made if needed; must not hold files of these names.
        method: A name in ``ENHANCEMENTS``.
        slices: Numbers of slices, 0 at the head; all if empty.
        progress: Told how far it is.

    Returns:
        The files.

    Raises:
        UnknownNameError: If there is no such method or slice.
        OutputError: If a file is there already, or cannot be written. The folder is then as it was.
    """
    if method not in ENHANCEMENTS:
        raise UnknownNameError.of("enhancement", method, ENHANCEMENTS)
    count = len(scan.slices)
    strange = [k for k in slices if not 0 <= k < count]
    if strange:
        raise UnknownNameError(f"unknown slice {strange[0] + 1}; known: 1 to {count}")
    wanted = list(dict.fromkeys(slices)) or list(range(count))
    names = dict(zip(wanted, _names(scan, wanted), strict=True))
    there = [name for name in names.values() if (folder / name).exists()]
    if there:
        raise OutputError(
            f"found '{there[0]}' in '{folder}', expected no file of that name; choose another "
            "folder"
        )

    def make(at: Path) -> list[Path]:
        for done, (k, name) in enumerate(names.items(), start=1):
            _write(_enhanced(scan, k, method), at / name, folder)
            if progress is not None:
                progress(done / len(names))
        return [at / name for name in names.values()]

    return move_in_when_done(folder, make)


def _enhanced(scan: Scan, k: int, method: str) -> NDArray[np.uint8]:
    pixels = scan.slices[k]
    gray = window_hu(pixels) if isinstance(scan, CTScan) else picture_gray(pixels)
    enhanced = np.clip(ENHANCEMENTS[method](gray), 0.0, 1.0)
    written: NDArray[np.uint8] = np.rint(enhanced * 255.0).astype(np.uint8)
    return written


def _write(pixels: NDArray[np.uint8], file: Path, folder: Path) -> None:
    if not cv2.imwrite(str(file), pixels):
        raise OutputError(
            f"cannot write '{file.name}' to '{folder}', expected a folder with room that takes a "
            "file of that name; name another folder, or rename the picture"
        )


def _names(scan: Scan, wanted: Sequence[int]) -> list[str]:
    """Names of the files, those of pictures such as every file system takes."""
    if isinstance(scan, CTScan):
        return [f"slice_{k + 1:03d}.png" for k in wanted]
    every = file_names(scan.names)
    return [f"{every[k]}.png" for k in wanted]
