"""Lobes from outside: a mask of the user, or another program."""

from collections.abc import Collection
from pathlib import Path

from groundglass.errors import UnreadableScanError
from groundglass.lungs.given_lobes import GivenLobes, read_lobes
from groundglass.lungs.lungmask_lobes import LUNGMASK, check_lungmask, lobes_by_lungmask
from groundglass.mask import Mask
from groundglass.scan import CTScan


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
