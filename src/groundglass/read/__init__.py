"""Reading: any file or folder that holds a chest CT, told by content, to one kind of scan."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundglass.errors import UnreadableScanError
from groundglass.read.oddities import TOLERABLE, Oddities

if TYPE_CHECKING:
    from groundglass.read.request import Request
    from groundglass.scan import CTScan, CTSlices

__all__ = ["READERS", "TOLERABLE", "read"]

READERS: dict[str, str] = {
    "dicom": "CT series in DICOM: a folder, a zip of it, one slice, or enhanced multi-frame",
    "nifti": "NIfTI volume in Hounsfield units, .nii or .nii.gz",
    "metaimage": "MetaImage volume in Hounsfield units, .mha, or .mhd with its voxels beside it",
    "nrrd": "NRRD volume in Hounsfield units, .nrrd, or .nhdr with its voxels beside it",
    "pictures": "pictures of axial slices, PNG, JPEG or TIFF, one or a folder; no millilitres",
}
"""What every reader reads; files are told apart by content, whatever they are called."""


def read(
    path: Path, *, series: str | None = None, tolerate: Collection[str] = ()
) -> "CTScan | CTSlices":
    """The chest CT that a file or folder holds.

    What cannot be read faithfully is refused, with what to do about it. What is harmless, or
    named in ``tolerate``, becomes a note of the scan's source.

    Args:
        path: DICOM folder, zip or file; NIfTI, MetaImage or NRRD file; picture or folder of
            pictures.
        series: DICOM series to read where there are several: Series Instance UID, Series Number,
            or part of its description. By default see ``groundglass.read.dicom_series.RULE``.
        tolerate: Names in ``TOLERABLE``.

    Returns:
        A volume in Hounsfield units, or slices in gray where the format has no Hounsfield units.

    Raises:
        UnreadableScanError: If there is no scan, several, or one that cannot be read faithfully.
        UnknownNameError: If a series or a name to tolerate does not exist.
    """
    oddities = Oddities(tolerate)
    path = Path(path)
    try:
        if not path.exists():
            raise UnreadableScanError(
                f"found nothing at '{path}', expected a file or folder; check the path"
            )
        return _read(path, series, oddities)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableScanError(
            f"found '{path.name}' closed ({reason}), expected a readable scan; "
            "check the permissions and the disk"
        ) from error


def _read(path: Path, series: str | None, oddities: Oddities) -> "CTScan | CTSlices":
    from groundglass.read.archive import unpacked
    from groundglass.read.content import description_of, kind_of
    from groundglass.read.folder import scan_in
    from groundglass.read.request import Request, given_name

    single_file = path.is_file()
    kind = kind_of(path) if single_file else None
    request = Request(given_name(path), series, oddities, single_file=single_file and kind != "zip")
    if kind == "zip":
        with unpacked(path) as folder:
            return _dispatch(*scan_in(folder, request), request)
    if not single_file:
        return _dispatch(*scan_in(path, request), request)
    if kind is None:
        raise UnreadableScanError(
            f"found '{path.name}', {description_of(path)}, expected DICOM, NIfTI, MetaImage, NRRD, "
            "PNG, JPEG, TIFF or a zip archive; give the scan itself"
        )
    return _dispatch(kind, [path], request)


def _dispatch(kind: str, files: Sequence[Path], request: "Request") -> "CTScan | CTSlices":
    """Hand the files to their reader; its libraries load now and not before."""
    if request.series is not None and kind != "dicom":
        raise UnreadableScanError(
            f"found the series '{request.series}' asked of {kind} files, which have none, expected "
            "DICOM; leave --series out"
        )
    if kind == "dicom":
        from groundglass.read.dicom import read_dicom

        return read_dicom(files, request)
    if kind == "pictures":
        from groundglass.read.pictures import read_pictures

        return read_pictures(files, request)
    if kind == "nifti":
        from groundglass.read.nifti import read_nifti

        return read_nifti(files[0], request)
    from groundglass.read.itk import read_metaimage, read_nrrd

    return (
        read_metaimage(files[0], request) if kind == "metaimage" else read_nrrd(files[0], request)
    )
