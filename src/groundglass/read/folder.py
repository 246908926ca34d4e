"""What a folder holds: the files of each kind, and those that break the promise of their name."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from groundglass.errors import UnreadableScanError
from groundglass.read.content import SCAN_SUFFIXES, description_of, files_below, kind_of
from groundglass.read.request import Request
from groundglass.read.wording import counted, quoted

VOLUMES = ("nifti", "metaimage", "nrrd")


@dataclass(slots=True)
class Contents:
    """Files of a folder by kind.

    Attributes:
        kinds: Files of each kind, sorted.
        damaged: Files that should be part of a scan and are not.
        others: Number of all other files.
    """

    kinds: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    damaged: list[Path] = field(default_factory=list)
    others: int = 0


def contents_of(folder: Path) -> Contents:
    """Files of a folder and its subfolders, by content."""
    contents = Contents()
    for path in files_below(folder):
        kind = kind_of(path)
        if kind is not None:
            contents.kinds[kind].append(path)
        elif path.suffix.lower() in SCAN_SUFFIXES or path.stat().st_size == 0:
            contents.damaged.append(path)
        else:
            contents.others += 1
    return contents


def scan_in(folder: Path, request: Request) -> tuple[str, list[Path]]:
    """The one scan of a folder: its kind and its files.

    DICOM goes before a volume file, a volume file before pictures. Pictures are read from one
    folder, not from its subfolders, where masks and other patients may lie.

    Args:
        folder: Folder to look through.
        request: Where to note what was left out.

    Raises:
        UnreadableScanError: If there is none, several, or damaged files among it.
    """
    contents = contents_of(folder)
    kinds = contents.kinds
    if "zip" in kinds and len(kinds) == 1:
        raise UnreadableScanError(
            f"found {counted(len(kinds['zip']), 'zip archive')} in '{request.name}', expected a "
            "scan; give one of them"
        )
    volumes = [(kind, path) for kind in VOLUMES for path in kinds.get(kind, [])]
    if "dicom" in kinds:
        chosen = "dicom", kinds["dicom"]
    elif volumes:
        chosen = _only_volume(volumes, request)
    elif "pictures" in kinds:
        chosen = "pictures", _pictures_of_one_folder(kinds["pictures"], request)
    else:
        raise UnreadableScanError(_nothing(contents, request))
    _report_damage(contents, request)
    left = {
        "other scan file": sum(len(kinds[k]) for k in kinds if k not in ("zip", chosen[0])),
        "zip archive": len(kinds.get("zip", ())),
    }
    if any(left.values()):
        words = " and ".join(counted(count, what) for what, count in left.items() if count)
        request.oddities.note("other-files", f"Read the {chosen[0]} files and left out {words}.")
    return chosen


def _only_volume(volumes: list[tuple[str, Path]], request: Request) -> tuple[str, list[Path]]:
    if len(volumes) > 1:
        listed = ", ".join(f"'{path.name}'" for _, path in volumes[:5])
        raise UnreadableScanError(
            f"found {len(volumes)} volumes in '{request.name}' ({listed}), expected one; "
            "give one of the files"
        )
    kind, path = volumes[0]
    return kind, [path]


def _pictures_of_one_folder(paths: list[Path], request: Request) -> list[Path]:
    folders = sorted({path.parent for path in paths})
    if len(folders) > 1:
        listed = ", ".join(f"'{folder.name}'" for folder in folders[:5])
        raise UnreadableScanError(
            f"found pictures in {len(folders)} folders below '{request.name}' ({listed}), expected "
            "one; give the folder of the slices"
        )
    return paths


def _report_damage(contents: Contents, request: Request) -> None:
    damaged = contents.damaged
    if not damaged:
        return
    listed = ", ".join(f"{quoted(path.name)} is {description_of(path)}" for path in damaged[:3])
    request.oddities.tolerate(
        "broken-files",
        found=f"{counted(len(damaged), 'damaged file')} ({listed})",
        expected="readable files only",
        advice="copy or export the folder again",
        done="they were left out",
    )


def _nothing(contents: Contents, request: Request) -> str:
    count = len(contents.damaged) + contents.others
    found = counted(count, "file") if count else "no file"
    if contents.damaged:
        found += f" of which '{contents.damaged[0].name}' is {description_of(contents.damaged[0])}"
    return (
        f"found {found} and no scan in '{request.name}', expected DICOM, NIfTI, MetaImage, NRRD or "
        "pictures; give the folder or file of the scan"
    )
