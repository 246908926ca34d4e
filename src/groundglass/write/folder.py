"""All or nothing: results are made in a hidden folder and moved in when all are done."""

import gzip
import hashlib
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from groundglass.errors import OutputError

MARK = b"groundglass"
"""Stands near the beginning of every file that is written, so that it can be told as ours."""

_MARK_WITHIN_BYTES = 4096
_NIFTI_HEADER_BYTES = 348
_SUM_DIGITS = 16

_MASK_MARK = re.compile(MARK + rb" \S+ ([0-9a-f]{%d})(?![0-9a-f])" % _SUM_DIGITS)
"""A mask tells the checksum of its voxels: programs that edit it keep the header."""


def check_folder(folder: Path) -> None:
    """Make sure that results can be written, before the work that leads to them.

    Args:
        folder: Where the results are to go; need not exist.

    Raises:
        OutputError: If it is a file, or may not be written.
    """
    move_in_when_done(folder, lambda _: [])


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts as files, all or none of them.

    Args:
        folder: Where the files go; made where it does not exist.
        texts: Text of each file by its name.

    Returns:
        The files in their place.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way.
    """

    def make(at: Path) -> list[Path]:
        for name, text in texts.items():
            (at / name).write_text(text, encoding="utf-8", newline="")
        return [at / name for name in texts]

    return move_in_when_done(folder, make)


def move_in_when_done(
    folder: Path, make: Callable[[Path], list[Path]], obsolete: Collection[Path] = ()
) -> list[Path]:
    """Make files in a temporary folder and move them into place once all are made.

    The temporary folder lies on the disk of the destination, so that moving is renaming. A
    failure at any time leaves the destination as it was.

    Args:
        folder: Where the files go; made where it does not exist.
        make: Makes files in the folder it is given and returns them.
        obsolete: Results of the folder, by their paths within it, that go when the new files
            come; a new file takes the place of one of the same name.

    Returns:
        The files in their place.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way.
    """
    try:
        beside = next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
        with tempfile.TemporaryDirectory(
            prefix=".groundglass-", dir=beside, ignore_cleanup_errors=True
        ) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()  # unlike the temporary folder itself, this one has the user's permissions
            names = [made.relative_to(new) for made in make(new)]
            gone = [name for name in obsolete if name not in names]
            if not (names or gone):
                return []
            if folder.exists():
                _replace_files(names, new, folder, Path(temporary) / "old", gone)
            else:
                _rename_folder(new, folder)
    except OSError as error:
        raise OutputError(
            f"cannot write to '{folder}' ({error.strerror or error}), expected a folder with room "
            "that may be written; name another folder"
        ) from error
    return [folder / name for name in names]


def _rename_folder(new: Path, folder: Path) -> None:
    made = [p for p in reversed(folder.absolute().parents) if not p.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.rename(folder)
    except BaseException:
        for parent in reversed(made):
            if parent.exists():
                parent.rmdir()
        raise


def _replace_files(
    names: list[Path], new: Path, folder: Path, old: Path, obsolete: Sequence[Path]
) -> None:
    """Rename file by file; on failure put back what was there."""
    for name in (*names, *obsolete):
        _refuse_a_file_of_the_user(folder / name)
    undo: list[Callable[[], object]] = []
    try:
        for name in names:
            target, kept = folder / name, old / name
            for parent in _missing_parents(target):
                parent.mkdir()
                undo.append(parent.rmdir)
            if target.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                keep(target, kept)
                undo.append(partial(kept.replace, target))
                (new / name).replace(target)
            else:
                (new / name).replace(target)
                undo.append(target.unlink)
        _take_away(obsolete, folder, old, undo)
    except BaseException:
        for step in reversed(undo):
            step()
        raise


def _take_away(
    names: Sequence[Path], folder: Path, old: Path, undo: list[Callable[[], object]]
) -> None:
    """Take files out of a folder, and subfolders that they leave empty; tells how to undo it."""
    for name in names:
        target, kept = folder / name, old / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        target.replace(kept)
        undo.append(partial(kept.replace, target))
    for parent in {folder / name.parent for name in names if name.parent.name}:
        if not any(parent.iterdir()):
            parent.rmdir()
            undo.append(parent.mkdir)


def _missing_parents(target: Path) -> list[Path]:
    """Folders above a file that are not there yet, the uppermost first."""
    return [parent for parent in reversed(target.parents) if not parent.exists()]


def results_named(folder: Path, patterns: Collection[str]) -> list[Path]:
    """Files of a folder that groundglass wrote under the given names, by their paths within it.

    Args:
        folder: Need not exist.
        patterns: Paths within the folder, where ``*`` stands for any part of a name.
    """
    found = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    return [file.relative_to(folder) for file in sorted(found) if _is_ours(file)]


def keep(file: Path, kept: Path) -> None:
    """Keep a file under a second name as well, whatever becomes of the first."""
    try:
        kept.hardlink_to(file)
    except OSError:  # a file system without links
        shutil.copy2(file, kept)


def _refuse_a_file_of_the_user(target: Path) -> None:
    if os.path.lexists(target.parent) and not target.parent.is_dir():
        raise OutputError(
            f"found a file where the folder '{target.parent}' belongs, expected nothing or an "
            "earlier result; move it away or name another folder"
        )
    if target.is_dir():
        raise OutputError(
            f"found a folder where the file '{target}' belongs, expected nothing or an earlier "
            "result; move it away or name another folder"
        )
    if os.path.lexists(target) and not _is_ours(target):
        raise OutputError(
            f"found '{target}', which groundglass did not write or which was changed since, "
            "expected nothing or an earlier result; move it away or name another folder"
        )


def voxel_sum(stream: BinaryIO) -> str:
    """Checksum of what follows the header of a NIfTI file, or of the packed pixels of a PNG.

    Args:
        stream: The file at its beginning, not packed.
    """
    start = stream.read(_MARK_WITHIN_BYTES)
    stream.seek(start.find(b"IDAT") if b"IDAT" in start else _NIFTI_HEADER_BYTES)
    found = hashlib.sha256()
    while block := stream.read(2**20):
        found.update(block)
    return found.hexdigest()[:_SUM_DIGITS]


def _is_ours(file: Path) -> bool:
    with file.open("rb") as raw:
        packed = file.suffix == ".gz" and raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            start = stream.read(_MARK_WITHIN_BYTES)
            told = _MASK_MARK.search(start) if file.suffix in (".gz", ".png") else None
            if told is None:
                return MARK in start
            stream.seek(0)
            return voxel_sum(stream) == told[1].decode()
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return False
