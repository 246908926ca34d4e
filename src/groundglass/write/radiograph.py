"""What a system says of a radiograph, to disk: a page, data and a picture."""

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict

from groundglass.classification import Classification
from groundglass.report import NOT_A_MEDICAL_DEVICE, Provenance
from groundglass.scan import Note, Source
from groundglass.version import __version__
from groundglass.write.answer_record import ClassificationRecord, classification_record
from groundglass.write.figures import Picture, draw_map
from groundglass.write.folder import move_in_when_done, results_named
from groundglass.write.html import environment, provenance_rows
from groundglass.write.masks import WRITTEN_BY
from groundglass.write.record import NoteRecord, note_records
from groundglass.write.wording import printable

MAP = "class_map.png"

_LARGEST_SIDE_PX = 640


class RadiographScan(BaseModel):
    """The radiograph that was looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    name: str
    """Name of the file."""

    format: str
    """How it was read: ``dicom`` or ``pictures``."""

    description: dict[str, str] = {}
    """Further facts, such as the view."""


class RadiographRecord(BaseModel):
    """Classes of a radiograph: ``classification.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    written_by: str
    """Program and version that wrote the file."""

    not_a_medical_device: str = NOT_A_MEDICAL_DEVICE
    """What the numbers must not be used for."""

    scan: RadiographScan
    """The radiograph that was looked at."""

    classification: ClassificationRecord
    """What it most likely shows."""

    notes: list[NoteRecord] = []
    """What was noticed on reading, in order."""

    provenance: Provenance
    """What made this answer."""


def radiograph_record(
    source: Source,
    classification: Classification,
    provenance: Provenance,
    notes: tuple[Note, ...] = (),
) -> RadiographRecord:
    """An answer as the record that its JSON file holds."""
    scan = RadiographScan(
        name=printable(source.name),
        format=source.format,
        description={printable(k): printable(v) for k, v in source.description.items()},
    )
    return RadiographRecord(
        written_by=f"groundglass {__version__}",
        scan=scan,
        classification=classification_record(classification, None),
        notes=note_records(notes),
        provenance=provenance,
    )


def write_radiograph(
    record: RadiographRecord,
    pixels: NDArray[np.uint8],
    class_map: NDArray[np.float32] | None,
    folder: Path,
) -> list[Path]:
    """Write ``classification.html`` and ``.json``, and ``class_map.png``: all or nothing.

    The map of an earlier run goes.

    Args:
        record: What was said.
        pixels: The radiograph, (row, column), 0 to 255.
        class_map: What spoke for the most likely class, same shape; ``None`` where not known.
        folder: Where to; made where it does not exist.

    Raises:
        OutputError: If the folder cannot be written; it is then as it was.
    """
    drawn = None if class_map is None else draw_map(pixels, class_map)

    def make(at: Path) -> list[Path]:
        texts = {
            "classification.html": _page(record, pixels, drawn),
            "classification.json": record.model_dump_json(indent=2) + "\n",
        }
        for name, text in texts.items():
            (at / name).write_text(text, encoding="utf-8", newline="")
        if drawn is not None:
            save_map(drawn, at)
        return sorted(at.iterdir())

    return move_in_when_done(folder, make, results_named(folder, (MAP,)))


def save_map(drawn: NDArray[np.uint8], at: Path) -> Path:
    """Write ``class_map.png``, (row, column, RGB), into an existing folder."""
    marked = PngImagePlugin.PngInfo()
    marked.add_text("Software", WRITTEN_BY)
    Image.fromarray(drawn).save(at / MAP, pnginfo=marked)
    return at / MAP


def _page(
    record: RadiographRecord, pixels: NDArray[np.uint8], drawn: NDArray[np.uint8] | None
) -> str:
    said = record.classification
    ranked = sorted(said.probabilities.items(), key=lambda pair: -pair[1])
    shown = [("the radiograph", np.repeat(pixels[..., None], 3, axis=2))]
    if drawn is not None:
        shown.append((f"what spoke for '{printable(said.most_likely)}'", drawn))
    return (
        environment()
        .get_template("radiograph.html.j2")
        .render(
            version=__version__,
            warning=NOT_A_MEDICAL_DEVICE,
            scan=record.scan,
            said=said,
            rows=[(name, 100 * p, f"{100 * p:.1f} %") for name, p in ranked],
            figures=[(caption, _picture(rgb, caption)) for caption, rgb in shown],
            notes=record.notes,
            provenance=provenance_rows(record.provenance),
        )
    )


def _picture(rgb: NDArray[np.uint8], alt: str) -> Picture:
    rows, columns = rgb.shape[:2]
    scale = min(1.0, _LARGEST_SIDE_PX / max(rows, columns))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]))
    data = base64.b64encode(jpeg.tobytes()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{data}", size[0], size[1], alt)
