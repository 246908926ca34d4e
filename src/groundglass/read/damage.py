"""The boundary to the libraries that decode files: damage becomes one line, warnings stay off."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ImageFile

from groundglass.errors import GroundglassError, UnreadableScanError
from groundglass.read.wording import quoted

logger = logging.getLogger(__name__)

LONGEST_REASON = 160
"""Characters of a library's own message that an error repeats."""


@contextmanager
def damage_explained(path: Path, expected: str) -> Iterator[None]:
    """Turn what a library raises on damaged bytes into one line.

    Warnings about imperfect headers are counted in the log, without their words: they may quote
    a patient's name.

    Args:
        path: The file; the message has its name only.
        expected: What the file should have been.

    Raises:
        UnreadableScanError: In place of any error of the library.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except GroundglassError:
            raise
        except MemoryError as error:
            raise UnreadableScanError(
                f"found {quoted(path.name)} too large for the memory, expected {expected}; "
                "check the size stated in its header"
            ) from error
        # Decoders of damaged bytes raise whatever they stumble over; all of it means the same.
        # A decoder written in Rust raises PanicException, which is no Exception.
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise UnreadableScanError(
                f"found {quoted(path.name)} damaged ({_reason(error, path)}), expected {expected}; "
                "copy or export the file again"
            ) from error
    if caught:
        logger.debug("%d warnings of a library while reading a file", len(caught))


@contextmanager
def cut_files_refused() -> Iterator[None]:
    """Have Pillow refuse a file that ends early, whatever another library has told it.

    WeasyPrint, which writes the PDF, tells it to fill up what is missing.
    """
    told = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = told


def _reason(error: BaseException, path: Path) -> str:
    """What a library complains of, without folders and without its advice to programmers."""
    words = " ".join(str(error).split()).replace(f"{path.parent}/", "")
    words = re.sub(r"^Exception thrown in SimpleITK.*?ITK ERROR: \w+\(\w+\): ", "", words)
    words = re.split(r" - | as exceptions were raised", words)[0] or type(error).__name__
    return words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 3] + "..."
