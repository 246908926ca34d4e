"""Masks to disk: NIfTI in the scan's own stored geometry, PNG for pictures."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
from PIL import Image, PngImagePlugin

from groundglass.errors import GeometryError
from groundglass.findings import Findings
from groundglass.labels import Label, Lesion, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.scan import CTScan, Scan
from groundglass.version import __version__
from groundglass.write.folder import voxel_sum
from groundglass.write.wording import file_names

WRITTEN_BY = f"groundglass {__version__}"
_LABEL_INTENT = "label"
_SCANNER = 1


def write(report: Report, folder: Path) -> list[Path]:
    """Write the masks of a report; see :func:`make_masks`."""
    return make_masks(report.findings.scan, masks_of(report.findings), folder)


def masks_of(findings: Findings) -> dict[str, Mask]:
    """Every mask that was found, by its name on disk."""
    masks = {
        "lungs": findings.lungs,
        "lesions": findings.lesions,
        "lobes": findings.lobes,
        "regions": findings.regions,
    }
    return {name: mask for name, mask in masks.items() if mask is not None}


def make_masks(scan: Scan, masks: Mapping[str, Mask], folder: Path) -> list[Path]:
    """Make the masks of a scan in an existing folder, and ``labels.json`` with their meaning.

    Args:
        scan: A CT volume gets ``NAME.nii.gz``, pictures ``NAME/PICTURE.png``.
        masks: Masks on the grid of the scan, by name.
        folder: Existing folder.

    Returns:
        The files.

    Raises:
        GeometryError: If a volume cannot be laid into the geometry it was stored in.
    """
    files: list[Path] = []
    renamed: dict[str, str] = {}
    for name, mask in masks.items():
        if isinstance(scan, CTScan):
            files.append(folder / f"{name}.nii.gz")
            _save_volume(nifti_image(mask, scan), files[-1])
        else:
            names = dict(zip(scan.names, file_names(scan.names), strict=True))
            renamed = {given: file for given, file in names.items() if given != file}
            files += _make_pictures(mask, list(names.values()), folder / name)
    legend = folder / "labels.json"
    legend.write_text(_legend(masks, renamed), encoding="utf-8")
    return [*files, legend]


def nifti_image(mask: Mask, scan: CTScan) -> nib.Nifti1Image:
    """The mask as NIfTI, voxel for voxel on the stored scan.

    The axes run as in the stored file. DICOM stores slices, not a volume: there they run column,
    row, slice, as every converter from DICOM to NIfTI has them. Coordinates are RAS.

    Args:
        mask: Mask on the grid of the scan.
        scan: Its scan; one that was never stored is written on its own grid.

    Raises:
        GeometryError: If the stored geometry has another grid than the scan.
    """
    stored = scan.source.stored or scan.voxels.get_geometry()
    volume = _laid_into(mask.voxels, stored)
    if scan.source.stored is None or scan.source.headers:
        volume = volume.permute_spatial_axes([2, 1, 0])
    image: Any = volume.to_nibabel()
    for set_form in (image.set_sform, image.set_qform):
        set_form(image.affine, code=_SCANNER)
    image.header.set_xyzt_units("mm")
    image.header.set_intent(_LABEL_INTENT)
    image.header["descrip"] = WRITTEN_BY
    image.header["cal_max"] = max(mask.labels)
    written: nib.Nifti1Image = image
    return written


def _laid_into(volume: hd.Volume, stored: hd.VolumeGeometry) -> hd.Volume:
    turned = volume.match_orientation(stored)
    if not turned.geometry_equal(stored, tol=1e-3):
        raise GeometryError(
            f"found a scan of {volume.spatial_shape} voxels that does not lie on the grid of its "
            f"stored geometry of {stored.spatial_shape}, expected the same grid turned; read it "
            "with groundglass.read"
        )
    return stored.with_array(turned.array)


def _save_volume(image: Any, file: Path) -> None:
    image.header["descrip"] = f"{WRITTEN_BY} {voxel_sum(BytesIO(image.to_bytes()))}"
    nib.save(image, file)


def _make_pictures(mask: Mask, names: list[str], folder: Path) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{name}.png" for name in names]
    for file, pixels in zip(files, mask.slices, strict=True):
        _save_picture(Image.fromarray(np.asarray(pixels)), file)
    return files


def _save_picture(picture: Image.Image, file: Path) -> None:
    plain = BytesIO()
    picture.save(plain, "png")
    plain.seek(0)
    marked = PngImagePlugin.PngInfo()
    marked.add_text("Software", f"{WRITTEN_BY} {voxel_sum(plain)}")
    picture.save(file, pnginfo=marked)


def _legend(masks: Mapping[str, Mask], renamed: dict[str, str]) -> str:
    def of(labels: type[Label]) -> dict[str, object]:
        named = {str(int(m)): {"title": m.title, "color": m.color} for m in labels}
        return {"0": {"title": "background"}, **named}

    legend: dict[str, object] = {"written_by": WRITTEN_BY, "lungs": of(Lung), "lesions": of(Lesion)}
    for name, labels in (("lobes", Lobe), ("regions", Region)):
        if name in masks:
            legend[name] = of(labels)
    if renamed:
        legend["renamed"] = renamed
    return json.dumps(legend, indent=2, ensure_ascii=True) + "\n"
