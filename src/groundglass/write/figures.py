"""Pictures of slices for the page: lung window, lesions in color, ends marked R, L, A or P."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from groundglass.findings import Findings
from groundglass.intensity import window_hu
from groundglass.labels import Label, Lesion, Lobe, Lung
from groundglass.scan import CTScan

AXIAL_WIDTH_PX = 420
CORONAL_WIDTH_PX = 560
"""Widths of the pictures: sharp at the sizes that the page and an A4 print show them."""

TINT = 0.32
"""Opacity of the color within a lesion: the tissue below must stay readable."""

LOBE_TINT = 0.14
"""Opacity of the color within a lobe."""

MARGIN_MM = 14.0
"""Body that is shown around the lungs."""

_MAX_HEIGHT_PX = 900
_JPEG_QUALITY = 86
_LEAST_AREA_PX = 9
_MARKER = 0.065
"""Height of the letters R and L, of the width of the picture."""

_BOX_TEXT = 0.045
"""Height of the text at a rectangle, of the width of the picture."""

_MAP_OPACITY = 0.4
"""Opacity of a class map where it is strong."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One cut through a scan as readers look at it: patient's right on the left, head or chest up.

    Attributes:
        gray: Display gray 0 to 255, shape (row, column).
        lungs: Label set ``Lung``, the same shape.
        lesions: Label set ``Lesion``, the same shape.
        aspect: Height of a pixel over its width.
        width_px: Width of the finished picture.
        ends: Letters that mark the left and the right end of the picture.
    """

    gray: NDArray[np.uint8]
    lungs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    aspect: float = 1.0
    width_px: int = AXIAL_WIDTH_PX
    ends: tuple[str, str] = ("R", "L")

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the finished picture, with square pixels."""
        rows, columns = self.gray.shape
        height = self.width_px * rows * self.aspect / columns
        shrink = min(1.0, _MAX_HEIGHT_PX / height)
        return max(1, round(self.width_px * shrink)), max(1, round(height * shrink))


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture.

    Attributes:
        uri: The whole picture as a ``data:`` URI.
        width_px: Its width.
        height_px: Its height.
        alt: What it shows, for those who do not see it.
    """

    uri: str
    width_px: int
    height_px: int
    alt: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A rectangle to draw on a plane.

    Attributes:
        top: First row, in pixels of the plane; parts of pixels count.
        left: First column.
        bottom: One past the last row.
        right: One past the last column.
        color: ``#rrggbb``.
        text: What stands at its corner.
    """

    top: float
    left: float
    bottom: float
    right: float
    color: str
    text: str = ""


Box = tuple[slice, slice, slice]
"""Slices, rows and columns of a volume that hold both lungs and a margin."""


def lung_box(findings: Findings) -> Box:
    """The part of a volume around both lungs that every picture of it shows."""
    assert findings.lungs.geometry is not None
    array = findings.lungs.array
    from_above = np.max(array, axis=0)
    inside = (np.max(array, axis=(1, 2)), np.max(from_above, axis=1), np.max(from_above, axis=0))
    bounds = []
    for axis, spacing_mm in zip(inside, findings.lungs.geometry.spacing, strict=True):
        found, margin = np.flatnonzero(axis), round(MARGIN_MM / spacing_mm)
        bounds.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + margin + 1))
    return bounds[0], bounds[1], bounds[2]


def axial(findings: Findings, index: int, box: Box | None = None) -> Plane:
    """An axial slice of a volume in the lung window, or a picture as it is."""
    cut = box[1:] if box else (slice(None), slice(None))
    scan = findings.scan
    lungs, lesions = findings.lungs.slices[index][cut], findings.lesions.slices[index][cut]
    if isinstance(scan, CTScan):
        aspect = scan.spacing_mm[1] / scan.spacing_mm[2]
        return Plane(_lung_window(scan.slices[index][cut]), lungs, lesions, aspect)
    return Plane(scan.slices[index][cut], lungs, lesions)


def coronal(findings: Findings, row: int, box: Box) -> Plane:
    """A coronal slice of a volume in the lung window, head up."""
    scan = findings.scan
    assert isinstance(scan, CTScan)
    cut = (box[0], row, box[2])
    return Plane(
        _lung_window(scan.slices[cut]),
        findings.lungs.array[cut],
        findings.lesions.array[cut],
        scan.spacing_mm[0] / scan.spacing_mm[2],
        CORONAL_WIDTH_PX,
    )


def sagittal(findings: Findings, column: int, box: Box) -> Plane:
    """A sagittal slice of a volume in the lung window, head up and front to the left."""
    scan = findings.scan
    assert isinstance(scan, CTScan)
    cut = (box[0], box[1], column)
    return Plane(
        _lung_window(scan.slices[cut]),
        findings.lungs.array[cut],
        findings.lesions.array[cut],
        scan.spacing_mm[0] / scan.spacing_mm[1],
        CORONAL_WIDTH_PX,
        ("A", "P"),
    )


def sagittal_column(findings: Findings, lung: Lung) -> int:
    """The column whose slice of a lung shows most lesion; most lung where there is none."""
    lesion, area = np.zeros((2, findings.lungs.array.shape[2]), np.int64)
    for lungs, lesions in zip(findings.lungs.array, findings.lesions.array, strict=True):
        inside = lungs == int(lung)
        area += np.count_nonzero(inside, axis=0)
        lesion += np.count_nonzero(inside & (lesions > 0), axis=0)
    return int(np.argmax(lesion if lesion.any() else area))


def coronal_row(findings: Findings) -> int:
    """The row whose coronal slice shows most lesion in the lungs; most lung where there is none."""
    lesion, lung = np.zeros((2, findings.lungs.array.shape[1]), np.int64)
    for lungs, lesions in zip(findings.lungs.array, findings.lesions.array, strict=True):
        lung += np.count_nonzero(lungs, axis=1)
        lesion += np.count_nonzero((lesions > 0) & (lungs > 0), axis=1)
    return int(np.argmax(lesion if lesion.any() else lung))


def plain(plane: Plane, alt: str) -> Picture:
    """The plane as it is, with its ends marked."""
    return _finish(_enlarge(plane), alt, plane.ends)


def overlaid(plane: Plane, alt: str) -> Picture:
    """The plane with lungs outlined and lesions outlined and tinted."""
    gray = _enlarge(plane)
    picture = np.stack([gray, gray, gray], axis=-1)
    _draw(picture, plane.lungs, Lung, tint=0.0)
    _draw(picture, plane.lesions, Lesion, tint=TINT)
    return _finish(picture, alt, plane.ends)


def boxed(plane: Plane, marked: Sequence[Marked], alt: str) -> Picture:
    """The plane with lungs outlined, lesions outlined, and rectangles drawn.

    Args:
        plane: The cut.
        marked: What to draw; the last one lies uppermost.
        alt: What it shows.
    """
    gray = _enlarge(plane)
    picture = np.stack([gray, gray, gray], axis=-1)
    _draw(picture, plane.lungs, Lung, tint=0.0)
    _draw(picture, plane.lesions, Lesion, tint=0.0)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_BOX_TEXT * image.width)
    across, down = image.width / plane.gray.shape[1], image.height / plane.gray.shape[0]
    for box in marked:
        corners = (box.left * across, box.top * down, box.right * across, box.bottom * down)
        draw.rectangle(corners, outline=box.color, width=2)
        draw.text(
            (corners[0], corners[1] - 1),
            box.text,
            box.color,
            font,
            "lb",
            stroke_width=2,
            stroke_fill="black",
        )
    return _finish(np.asarray(image), alt, plane.ends)


def lobes_overlaid(plane: Plane, lobes: NDArray[np.uint8], alt: str) -> Picture:
    """The plane with its lobes outlined and lightly tinted, and lesions outlined.

    Args:
        plane: The cut.
        lobes: Label set ``Lobe``, the shape of the plane.
        alt: What it shows.
    """
    gray = _enlarge(plane)
    picture = np.stack([gray, gray, gray], axis=-1)
    _draw(picture, lobes, Lobe, tint=LOBE_TINT)
    _draw(picture, plane.lesions, Lesion, tint=0.0)
    return _finish(picture, alt, plane.ends)


def draw_map(pixels: NDArray[np.uint8], spoke: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture with a class map laid over it in color, (row, column, RGB).

    Args:
        pixels: Picture, (row, column), 0 to 255.
        spoke: How much each place spoke for the class, same shape, 0 to 1.
    """
    colors = cv2.applyColorMap((spoke * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    weight = (_MAP_OPACITY * np.minimum(spoke * 2, 1.0))[..., None]
    return np.rint(pixels[..., None] * (1 - weight) + colors * weight).astype(np.uint8)


def mapped(plane: Plane, spoke: NDArray[np.float32], alt: str) -> Picture:
    """The plane with a class map laid over it.

    Args:
        plane: The cut.
        spoke: How much each place spoke for the class, the shape of the plane, 0 to 1.
        alt: What it shows.
    """
    gray = _enlarge(plane)
    size = (gray.shape[1], gray.shape[0])
    large = np.asarray(cv2.resize(spoke, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return _finish(draw_map(gray, large), alt, plane.ends)


def _lung_window(voxels_hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(window_hu(voxels_hu) * 255.0), np.uint8)


def _enlarge(plane: Plane) -> NDArray[np.uint8]:
    width, height = plane.size_px
    shrinks = width < plane.gray.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    gray = np.ascontiguousarray(plane.gray)
    return np.asarray(cv2.resize(gray, (width, height), interpolation=how), np.uint8)


def _draw(
    picture: NDArray[np.uint8], numbers: NDArray[np.uint8], labels: type[Label], tint: float
) -> None:
    for label in labels:
        area = _area(numbers == label, (picture.shape[1], picture.shape[0]))
        if area is None:
            continue
        color = np.array([int(label.color[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
        if tint:
            inside = picture[area].astype(np.float32)
            picture[area] = np.rint(inside + tint * (color - inside)).astype(np.uint8)
        outlines, _ = cv2.findContours(area.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, color.tolist(), 1, cv2.LINE_AA)


def _area(inside: NDArray[np.bool_], size_px: tuple[int, int]) -> NDArray[np.bool_] | None:
    """A label enlarged to the picture with smooth edges; a lone pixel does not get lost."""
    if not inside.any():
        return None
    shrinks = size_px[0] < inside.shape[1]
    share = cv2.resize(
        inside.astype(np.float32),
        size_px,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    area = share >= 0.5
    if np.count_nonzero(area) < _LEAST_AREA_PX:
        area = cv2.dilate((share > 0.0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(area, np.bool_)


def _finish(pixels: NDArray[np.uint8], alt: str, ends: tuple[str, str]) -> Picture:
    image = Image.fromarray(pixels)
    _mark_ends(image, ends)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0, optimize=True)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{data}", image.width, image.height, alt)


def _mark_ends(image: Image.Image, ends: tuple[str, str]) -> None:
    size = min(_MARKER * image.width, image.height / 3)
    font, draw, inset = ImageFont.load_default(max(size, 1.0)), ImageDraw.Draw(image), size / 3
    for letter, x, anchor in (
        (ends[0], inset, "la"),
        (ends[1], image.width - inset, "ra"),
    ):
        draw.text((x, inset), letter, "white", font, anchor, stroke_width=2, stroke_fill="black")
