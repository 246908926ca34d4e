"""Zip archives, unpacked to a folder that is gone when the reading is done."""

import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained

LARGEST_CONTENT_BYTES = 8 * 2**30
MOST_FILES = 50_000


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Folder with the files of a zip archive; deleted at the end, for it holds patient data.

    Args:
        path: The archive.

    Raises:
        UnreadableScanError: If the archive is damaged, locked, too large, or names files outside
            of itself.
    """
    with tempfile.TemporaryDirectory(prefix="groundglass-") as folder:
        with damage_explained(path, "a zip archive"), zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(members, path)
            for number, member in enumerate(members):
                _extract(archive, member, Path(folder), number)
        yield Path(folder)


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, number: int) -> None:
    try:
        if (folder / member.filename).exists():
            raise FileExistsError  # an archive may hold two files of one name
        archive.extract(member, folder)
    except OSError:
        # A name that this system cannot hold or that is taken, or a file in place of a folder.
        lost = folder / f"renamed-{number}"
        lost.mkdir()
        target = lost / PurePosixPath(member.filename).name[-100:]
        target.write_bytes(archive.read(member))


def _check(members: list[zipfile.ZipInfo], path: Path) -> None:
    size = sum(member.file_size for member in members)
    if size > LARGEST_CONTENT_BYTES or len(members) > MOST_FILES:
        raise UnreadableScanError(
            f"found '{path.name}' with {len(members)} files of {size / 2**30:.1f} GiB, expected at "
            f"most {MOST_FILES} of {LARGEST_CONTENT_BYTES / 2**30:.0f} GiB; unpack it and give the "
            "folder of the CT series"
        )
    for member in members:
        name, windows = PurePosixPath(member.filename), PureWindowsPath(member.filename)
        if ".." in windows.parts or name.is_absolute() or windows.is_absolute() or windows.drive:
            raise UnreadableScanError(
                f"found '{path.name}' naming a file outside of itself, expected a plain archive of "
                "a scan; do not open it, ask where it comes from"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UnreadableScanError(
                f"found '{path.name}' with a link in place of a file, expected the files "
                "themselves; pack it again with its files"
            )
        if member.flag_bits & 1:
            raise UnreadableScanError(
                f"found '{path.name}' locked with a password, expected an open archive; "
                "unpack it and give the folder"
            )
