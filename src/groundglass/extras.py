"""Optional parts of the installation, and what to say where one is missing."""

from importlib.util import find_spec

from groundglass.errors import MissingExtraError

EXTRAS = {
    "lungmask": ("lungmask",),
    "train": ("lightning", "torchmetrics", "tensorboard"),
    "deidentify": ("dicomanonymizer",),
    "explain": ("captum",),
}
"""Packages that must be there for each extra of the installation."""


def need(extra: str) -> None:
    """Go on only where an extra is installed.

    Args:
        extra: A name in ``EXTRAS``.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    missing = [package for package in EXTRAS[extra] if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"found no {' and no '.join(missing)}, expected the extra '{extra}'; "
            f"install it with: pip install 'groundglass[{extra}]'"
        )
