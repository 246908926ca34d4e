"""Lobes from outside: a mask of the user, or another program."""

from collections.abc import Collection
from pathlib import Path

from groundglass.errors import GeometryError, UnreadableScanError
from groundglass.lungs.given_lobes import GivenLobes, read_lobe_numbers, read_lobes
from groundglass.lungs.lungmask_lobes import LUNGMASK, check_lungmask, lobes_by_lungmask
from groundglass.mask import Mask
from groundglass.scan import CTScan, Scan


def check_lobes(wanted: str | Path) -> None:
    """Make sure that lobes can be had, before the work that leads to them.

    Args:
        wanted: Mask file, folder of masks, or ``lungmask``.

    Raises:
        UnreadableScanError: If there is no such file or folder.
        MissingExtraError: If lungmask is wanted and not installed.
        WeightsError: If its weights are missing.
    """
    if str(wanted) == LUNGMASK:
        check_lungmask()
    elif not Path(wanted).exists():
        raise UnreadableScanError(
            f"found nothing at '{wanted}', expected a mask of lobes or '{LUNGMASK}'; check the path"
        )


def check_lobes_for(wanted: str | Path, scan: Scan, tolerate: Collection[str] = ()) -> None:
    """Make sure that a scan can have such lobes, once it is read and before the long work.

    Whether a mask fits the lungs, the lungs will tell.

    Args:
        wanted: Mask file, folder of masks, or ``lungmask``.
        scan: The scan as it was read.
        tolerate: Names in ``groundglass.read.TOLERABLE``, for the mask.

    Raises:
        GeometryError: If the scan is pictures, which have no lobes.
        UnreadableScanError: If the file is no mask.
    """
    if not isinstance(scan, CTScan):
        raise GeometryError(
            "found pictures, expected a CT volume for a mask of lobes; leave --lobes out"
        )
    if str(wanted) != LUNGMASK:
        read_lobe_numbers(Path(wanted), tolerate)


def outside_lobes(
    wanted: str | Path,
    scan: CTScan,
    lungs: Mask,
    tolerate: Collection[str] = (),
    device: str = "cpu",
) -> GivenLobes:
    """The lobes that the user gives or another program finds, on the lungs of the scan.

    Args:
        wanted: Mask file, folder of masks, or ``lungmask``.
        scan: The scan.
        lungs: Label set ``Lung`` on its grid.
        tolerate: Names in ``groundglass.read.TOLERABLE``, for the mask.
        device: Where a network runs.

    Raises:
        GroundglassError: As :func:`~groundglass.lungs.given_lobes.read_lobes` and
            :func:`~groundglass.lungs.lungmask_lobes.lobes_by_lungmask` say.
    """
    if str(wanted) == LUNGMASK:
        return lobes_by_lungmask(scan, lungs, device)
    return read_lobes(Path(wanted), scan, lungs, tolerate)
