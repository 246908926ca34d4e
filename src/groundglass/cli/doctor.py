"""Whether this machine has what groundglass needs: packages, decoders, weights, memory."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from groundglass.errors import WeightsError
from groundglass.version import __version__

MEMORY_GIB = 4.0
"""Enough for a scan of 512 x 512 x 300 and the system around it."""

DECODERS = {
    "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}
"""Compressed DICOM that hospitals send, by transfer syntax."""


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it is as groundglass needs it.
        found: What was found, in plain words, with what to do where it is not ok.
    """

    name: str
    ok: bool
    found: str


def examine() -> list[Check]:
    """Everything that an analysis needs, one check each."""
    return [
        Check("groundglass", True, __version__),
        Check("python", True, f"{platform.python_version()} on {platform.platform(terse=True)}"),
        *_packages(),
        *_decoders(),
        *_weights(),
        _device(),
        _memory(),
    ]


def _packages() -> Iterator[Check]:
    from packaging.requirements import Requirement

    for line in requires("groundglass") or []:
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            found = "not installed"
        ok = found != "not installed" and needed.specifier.contains(found, prereleases=True)
        remedy = (
            "" if ok else f", expected {needed.specifier}; run: pip install --upgrade groundglass"
        )
        yield Check(needed.name, ok, f"{found}{remedy}")


def _decoders() -> Iterator[Check]:
    from pydicom.pixels.decoders.base import get_decoder

    for name, transfer_syntax in DECODERS.items():
        decoder = get_decoder(transfer_syntax)
        found = ", ".join(decoder.available_plugins)
        remedy = "no decoder; run: pip install --upgrade groundglass"
        yield Check(f"DICOM {name}", decoder.is_available, found or remedy)


def _weights() -> Iterator[Check]:
    from groundglass.systems import list_systems
    from groundglass.systems.card import home
    from groundglass.weights import sha256_of

    for card in list_systems():
        name = f"weights of {card.name}"
        if card.weights is None:
            yield Check(name, True, "none shipped; train the system with groundglass train")
            continue
        try:
            intact = sha256_of(home(card.name) / card.weights.file) == card.weights.sha256
        except WeightsError as error:
            yield Check(name, False, str(error))
            continue
        found = "present, checksum right" if intact else "damaged; reinstall groundglass"
        yield Check(name, intact, f"{found} ({card.weights.license})")


def _device() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("device", True, f"cpu with {torch.get_num_threads()} threads; no GPU found")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("device", True, f"cpu, cuda ({', '.join(names)})")


def _memory() -> Check:
    cores = f"{os.cpu_count()} cores"
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows does not tell
        return Check("memory", True, f"not known; {cores}")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ok = gib >= MEMORY_GIB
    remedy = "" if ok else f", expected {MEMORY_GIB:g} GiB; large scans will not fit"
    return Check("memory", ok, f"{gib:.1f} GiB, {cores}{remedy}")
