"""Options that mean the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

ScanPath = Annotated[
    Path,
    typer.Argument(
        help="File, folder or zip: DICOM, NIfTI, MetaImage, NRRD, or pictures of axial slices.",
        metavar="SCAN",
        show_default=False,
    ),
]

OutFolder = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Folder for the results; made if needed.",
        metavar="FOLDER",
        show_default=False,
    ),
]

System = Annotated[
    str,
    typer.Option(
        "--system",
        help="System that finds the lesions (see 'groundglass systems'), or folder of a run.",
        metavar="NAME",
    ),
]

Series = Annotated[
    str | None,
    typer.Option(
        "--series",
        help="Series to read where the folder holds several.",
        metavar="SERIES",
        show_default=False,
    ),
]

Tolerate = Annotated[
    list[str] | None,
    typer.Option(
        "--tolerate",
        help="Oddity to accept; the report says so (see 'groundglass formats'). May be repeated.",
        metavar="NAME",
        show_default=False,
    ),
]

Device = Annotated[
    str, typer.Option("--device", help="Where networks run: cpu, cuda, cuda:1.", metavar="DEVICE")
]

Lobes = Annotated[
    str | None,
    typer.Option(
        "--lobes",
        help="Mask of the lobes, a folder of such masks, or 'lungmask'; else they are estimated.",
        metavar="FILE",
        show_default=False,
    ),
]

Lungs = Annotated[
    str,
    typer.Option(
        "--lungs",
        help="How the lungs of volumes are found: threshold+network, threshold, hull, unet, or the "
        "folder of a lung_unet run.",
        metavar="NAME",
    ),
]

DEFAULT_LUNGS = "threshold+network"
"""How lungs are found where no way is named."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]

DEFAULT_SYSTEM = "baseline_unet"
"""System that is used where none is named."""
