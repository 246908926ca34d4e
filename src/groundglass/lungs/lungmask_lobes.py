"""Lobes by lungmask, an optional package with a network of its own (extra ``lungmask``).

Hofmanninger et al., Eur Radiol Exp 2020; 4:50, doi:10.1186/s41747-020-00173-2. Its network
LTRCLobes looks at slices one by one and finds lobes by their fissures.
"""

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundglass.errors import WeightsError
from groundglass.extras import need
from groundglass.lungs.given_lobes import GivenLobes, place_lobes
from groundglass.mask import Mask
from groundglass.scan import CTScan

LUNGMASK = "lungmask"
"""What to give in place of a mask of lobes."""

NETWORK = "LTRCLobes"

WEIGHTS_VARIABLE = "GROUNDGLASS_LUNGMASK_WEIGHTS"
"""Environment variable: the file of the weights, or ``download``."""

DOWNLOAD = "download"

_STORED_AS = "unet_ltrclobes-*.pth"


def check_lungmask() -> None:
    """Make sure that lungmask can run, before the work that leads to it.

    Raises:
        MissingExtraError: If lungmask is not installed.
        WeightsError: If its weights are not here and no one asked to fetch them.
    """
    need(LUNGMASK)
    _weights()


def lobes_by_lungmask(scan: CTScan, lungs: Mask, device: str = "cpu") -> GivenLobes:
    """The lobes that lungmask finds, on the lungs of the scan.

    Args:
        scan: The scan.
        lungs: Label set ``Lung`` on its grid.
        device: Where the network runs; ``cpu``, or the graphics card that lungmask chooses.

    Raises:
        MissingExtraError: If lungmask is not installed.
        WeightsError: If its weights are not here and no one asked to fetch them, or do not load.
        UnreadableScanError: If what it found does not lie in the lungs.
        GeometryError: If it left too much of the lungs without a lobe.
    """
    need(LUNGMASK)
    weights = _weights()
    inferer: Any = import_module("lungmask").LMInferer
    try:
        network = inferer(
            modelname=NETWORK,
            modelpath=None if weights is None else str(weights),
            force_cpu=device == "cpu",
            tqdm_disable=True,
        )
        # rows to the back and columns to the left, as in the slices that lungmask learned from
        numbers = network.apply(scan.slices)
    except Exception as error:  # whatever its network stumbles over: weights, memory, network
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise WeightsError(
            f"found lungmask failing ({reason}), expected lobes; check the weights in "
            f"{WEIGHTS_VARIABLE}, or give a mask of lobes as a file"
        ) from error
    placed = place_lobes(np.asarray(numbers, np.uint16), scan, lungs)
    return replace(placed, source=f"by lungmask {NETWORK}")


def _weights() -> Path | None:
    """The weights, ``None`` where lungmask is to fetch them itself."""
    wanted = os.environ.get(WEIGHTS_VARIABLE, "")
    if wanted == DOWNLOAD:
        return None
    if wanted:
        if not Path(wanted).is_file():
            raise WeightsError(
                f"found no file '{Path(wanted).name}', which {WEIGHTS_VARIABLE} names, expected "
                f"the weights of lungmask's {NETWORK}; correct the path"
            )
        return Path(wanted)
    fetched = sorted(Path(torch.hub.get_dir(), "checkpoints").glob(_STORED_AS))
    if not fetched:
        raise WeightsError(
            f"found no weights of lungmask's {NETWORK}, expected them in {WEIGHTS_VARIABLE}; "
            f"name their file there, or set {WEIGHTS_VARIABLE}={DOWNLOAD} to let lungmask fetch "
            "them once"
        )
    return fetched[-1]
