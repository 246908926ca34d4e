"""NIfTI, MetaImage and NRRD inputs that must be refused, and what the error must say."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from scipy.spatial.transform import Rotation

from tests.read.tiny_chest import tiny_chest

Values = Callable[[np.ndarray], np.ndarray]


def nifti(change: Values = lambda values: values, *, name: str = "scan.nii", header=None):
    """Builder of a NIfTI file whose voxels, then whose header, were changed."""

    def build(folder: Path) -> Path:
        image = tiny_chest().voxels.to_nibabel()
        made = nib.Nifti1Image(change(np.asarray(image.dataobj)), image.affine)
        if header is not None:
            header(made)
        folder.mkdir()
        nib.save(made, folder / name)
        return folder / name

    return build


def patched(offset: int, content: bytes):
    """Builder of a NIfTI file with bytes of its header replaced."""

    def build(folder: Path) -> Path:
        path = nifti()(folder)
        whole = bytearray(path.read_bytes())
        whole[offset : offset + len(content)] = content
        path.write_bytes(whole)
        return path

    return build


def shortened(build: Callable[[Path], Path], share: float):
    """Builder of the first part of a file."""

    def cut(folder: Path) -> Path:
        path = build(folder)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        return path

    return cut


def itk(name: str, *, replace: tuple[bytes, bytes] = (b"", b"")):
    """Builder of a MetaImage or NRRD file with words of its header replaced."""

    def build(folder: Path) -> Path:
        folder.mkdir()
        SimpleITK.WriteImage(tiny_chest().voxels.to_simpleitk(), str(folder / name))
        path = folder / name
        assert replace[0] in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(*replace, 1))
        return path

    return build


def vectors(folder: Path) -> Path:
    image = tiny_chest().voxels.to_simpleitk()
    folder.mkdir()
    SimpleITK.WriteImage(SimpleITK.Compose(image, image), str(folder / "scan.mha"))
    return folder / "scan.mha"


def two_volumes(folder: Path) -> Path:
    image = tiny_chest().voxels.to_simpleitk()
    folder.mkdir()
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image, image]), str(folder / "scan.nrrd"))
    return folder / "scan.nrrd"


def header_alone(folder: Path) -> Path:
    path = itk("scan.mhd")(folder)
    (folder / "scan.raw").unlink()
    return path


def scan_and_mask(folder: Path) -> Path:
    path = nifti()(folder)
    (folder / "mask.nii").write_bytes(path.read_bytes())
    return folder


def text_in_gzip(folder: Path) -> Path:
    folder.mkdir()
    (folder / "scan.nii.gz").write_bytes(gzip.compress(b"not a scan"))
    return folder / "scan.nii.gz"


def analyze(folder: Path) -> Path:
    path = nifti()(folder)
    path.write_bytes(path.read_bytes()[:344] + b"\0\0\0\0")
    return path


def with_nan(values: np.ndarray) -> np.ndarray:
    out = values.astype(np.float32)
    out[3, 4, 5], out[3, 4, 6] = np.nan, np.inf
    return out


def colors(values: np.ndarray) -> np.ndarray:
    return np.zeros(values.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


def no_codes(image: nib.Nifti1Image) -> None:
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)


def mirrored_qform(image: nib.Nifti1Image) -> None:
    image.set_sform(image.affine, code=1)
    image.set_qform(np.diag([-1.0, 1, 1, 1]) @ image.affine, code=1)


def shifted_qform(image: nib.Nifti1Image) -> None:
    moved = image.affine.copy()
    moved[2, 3] += 40.0
    image.set_sform(image.affine, code=1)
    image.set_qform(moved, code=1)


def turned_qform(image: nib.Nifti1Image) -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", 8, degrees=True).as_matrix()
    image.set_sform(image.affine, code=1)
    image.set_qform(turn @ image.affine, code=1)


def nearly_the_same_qform(image: nib.Nifti1Image) -> None:
    moved = image.affine.copy()
    moved[:3, 3] += 0.4 * image.affine[:3, 1]
    image.set_sform(image.affine, code=1)
    image.set_qform(moved, code=1)


def other_zooms(image: nib.Nifti1Image) -> None:
    image.set_sform(image.affine, code=1)
    image.header["pixdim"][1:4] = 1.0


def sheared(image: nib.Nifti1Image) -> None:
    affine = image.affine.copy()
    affine[:3, 1] += 0.2 * affine[:3, 0]
    image.set_sform(affine, code=1, update_affine=True)
    image.set_qform(None, code=0)
    image.header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)


def tiny(image: nib.Nifti1Image) -> None:
    image.set_sform(image.affine @ np.diag([1e-3, 1e-3, 1e-3, 1]), code=1, update_affine=True)
    image.set_qform(image.affine, code=1)


def in_micrometres(image: nib.Nifti1Image) -> None:
    image.header.set_xyzt_units("micron")


PIXDIM, DIM, SFORM = 76, 40, 280

BROKEN_VOLUMES = {
    "nifti: four dimensions": (
        nifti(lambda v: np.stack([v, v], axis=-1)),
        ["4 dimensions", "3 dimensions", "file of its own"],
    ),
    "nifti: two dimensions": (nifti(lambda v: v[:, :, 5]), ["2 dimensions"]),
    "nifti: cut": (shortened(nifti(), 0.6), ["'scan.nii' damaged", "copy or export"]),
    "nifti: cut behind gzip": (
        shortened(nifti(name="scan.nii.gz"), 0.6),
        ["'scan.nii.gz' damaged"],
    ),
    "nifti: cut in the header": (shortened(nifti(), 0.001), ["'scan.nii'", "give the scan"]),
    "nifti: no orientation": (
        nifti(header=no_codes),
        ["neither sform nor qform", "--tolerate no-orientation"],
    ),
    "nifti: two orientations": (
        nifti(header=mirrored_qform),
        ["sform in", "qform in", "--tolerate conflicting-affines"],
    ),
    "nifti: two places": (
        nifti(header=shifted_qform),
        ["an sform and a qform", "4.0 voxels apart", "--tolerate conflicting-affines"],
    ),
    "nifti: two angles": (
        nifti(header=turned_qform),
        ["an sform and a qform", "voxels apart", "--tolerate conflicting-affines"],
    ),
    "nifti: two spacings": (nifti(header=other_zooms), ["pixdim 1 x 1 x 1 mm"]),
    "nifti: in meters": (nifti(header=tiny), ["0.01 x 0.0035 x 0.00325 mm", "at least 0.05 mm"]),
    "nifti: sheared": (nifti(header=sheared), ["axes that lean by", "perpendicular"]),
    "nifti: micrometres": (nifti(header=in_micrometres), ["lengths in micrometres"]),
    "nifti: not finite": (
        nifti(with_nan),
        ["2 values that are no number", "--tolerate not-finite"],
    ),
    "nifti: label map": (
        nifti(lambda v: (v > -500).astype(np.uint8) * 3),
        ["values 0 to 3", "label map"],
    ),
    "nifti: mask of ones": (nifti(lambda v: (v > 0).astype(np.uint8)), ["a mask"]),
    "nifti: gray values": (
        nifti(lambda v: np.clip(v // 8 + 128, 0, 255).astype(np.uint8)),
        ["gray values", "Hounsfield units"],
    ),
    "nifti: scaled to one": (
        nifti(lambda v: (v / 1024.0).astype(np.float32)),
        ["scaled for a network"],
    ),
    "nifti: plus 1024": (
        nifti(lambda v: (v.astype(int) + 1024).astype(np.uint16)),
        ["plus 1024", "--tolerate offset-1024"],
    ),
    "nifti: soft tissue window": (
        nifti(lambda v: np.clip(v, -160, 240)),
        ["values -160 to 240", "no window"],
    ),
    "nifti: magnetic resonance": (
        nifti(lambda v: np.abs(v.astype(int) * 3 + 2000).astype(np.int16) % 1900 + 3000),
        ["soft tissue", "chest CT"],
    ),
    "nifti: blank": (nifti(lambda v: v * 0 - 1000), ["the single value -1000", "blank"]),
    "nifti: far out of range": (
        nifti(lambda v: v.astype(np.float32) * 100),
        ["Hounsfield units", "values -102400 to"],
    ),
    "nifti: colors": (nifti(colors), ["voxels of type", "one number per voxel"]),
    "nifti: complex": (nifti(lambda v: v.astype(np.complex64)), ["one number per voxel"]),
    "nifti: half of a pair": (patched(344, b"ni1\0"), ["NIfTI pair", "one .nii file"]),
    "nifti: ANALYZE": (analyze, ["ANALYZE header", "left from right"]),
    "nifti: affine of zeros": (patched(SFORM, bytes(48)), ["sform", "pixdim"]),
    "nifti: endless": (patched(DIM, b"\x03\x00" + b"\xff\x7f" * 3), ["damaged"]),
    "nifti: text behind gzip": (text_in_gzip, ["gzip archive that is not NIfTI"]),
    "nifti: scan and mask": (scan_and_mask, ["2 volumes", "'mask.nii'", "give one"]),
    "metaimage: cut": (shortened(itk("scan.mha"), 0.6), ["'scan.mha' damaged"]),
    "metaimage: without voxels": (header_alone, ["'scan.mhd' damaged"]),
    "metaimage: without spacing": (
        itk("scan.mha", replace=(b"ElementSpacing", b"Elementspaced_")),
        ["without a voxel spacing", "ElementSpacing"],
    ),
    "metaimage: without orientation": (
        itk("scan.mha", replace=(b"TransformMatrix", b"Transformatrixx")),
        ["without an orientation", "--tolerate no-orientation"],
    ),
    "metaimage: vectors": (vectors, ["2 numbers per voxel"]),
    "nrrd: cut": (shortened(itk("scan.nrrd"), 0.6), ["'scan.nrrd' damaged"]),
    "nrrd: without space": (
        itk("scan.nrrd", replace=(b"space: left-posterior-superior\n", b"space dimension: 3\n")),
        ["without an orientation", "--tolerate no-orientation"],
    ),
    "nrrd: axes of the scanner": (
        itk("scan.nrrd", replace=(b"left-posterior-superior", b"scanner-xyz")),
        ["the space 'scanner-xyz' as its orientation", "--tolerate no-orientation"],
    ),
    "nrrd: axes of no patient": (
        itk("scan.nrrd", replace=(b"left-posterior-superior", b"3D-right-handed")),
        ["the space '3D-right-handed'", "--tolerate no-orientation"],
    ),
    "nrrd: two volumes": (two_volumes, ["4 dimensions"]),
}
