"""Enhanced slices as pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from groundglass.enhancement import ENHANCEMENTS
from groundglass.errors import OutputError, UnknownNameError
from groundglass.intensity import picture_gray, window_hu
from groundglass.scan import CTScan, Scan


def write_enhanced(
    scan: Scan,
    folder: Path,
    method: str,
    slices: Sequence[int] = (),
    progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Write slices of a scan, enhanced, as gray PNG in the lung window.

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
        OutputError: If a file is there already.
    """
    if method not in ENHANCEMENTS:
        raise UnknownNameError.of("enhancement", method, ENHANCEMENTS)
    count = len(scan.slices)
    strange = [k for k in slices if not 0 <= k < count]
    if strange:
        raise UnknownNameError(f"unknown slice {strange[0] + 1}; known: 1 to {count}")
    wanted = list(dict.fromkeys(slices)) or list(range(count))
    files = {k: folder / f"{_name(scan, k)}.png" for k in wanted}
    there = [file for file in files.values() if file.exists()]
    if there:
        raise OutputError(
            f"found '{there[0].name}' in '{folder}', expected no file of that name; choose another "
            "folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for done, (k, file) in enumerate(files.items(), start=1):
        pixels = scan.slices[k]
        gray = window_hu(pixels) if isinstance(scan, CTScan) else picture_gray(pixels)
        enhanced = np.clip(ENHANCEMENTS[method](gray), 0.0, 1.0)
        cv2.imwrite(str(file), np.rint(enhanced * 255.0).astype(np.uint8))
        if progress is not None:
            progress(done / len(files))
    return list(files.values())


def _name(scan: Scan, k: int) -> str:
    return f"slice_{k + 1:03d}" if isinstance(scan, CTScan) else scan.names[k]
