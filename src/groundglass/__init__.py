"""Pneumonia on chest CT: lungs, lesions, severity and report, offline.

The public names load on first use, so that ``import groundglass`` stays quick. ``analyze``,
``read`` and ``write`` are modules with a function of the same name: a package cannot hold a
function and a module under one name, and which of the two stood there would depend on what was
imported before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from groundglass.version import __version__

if TYPE_CHECKING:
    from groundglass import analyze, read, write
    from groundglass.errors import GroundglassError
    from groundglass.findings import Findings
    from groundglass.labels import Lesion, Lung
    from groundglass.mask import Mask
    from groundglass.report import Report
    from groundglass.scan import CTScan, CTSlices
    from groundglass.score import Score
    from groundglass.systems import list_systems, load_system

_HOMES = {
    "GroundglassError": "errors",
    "Findings": "findings",
    "Lesion": "labels",
    "Lung": "labels",
    "Mask": "mask",
    "Report": "report",
    "CTScan": "scan",
    "CTSlices": "scan",
    "Score": "score",
    "list_systems": "systems",
    "load_system": "systems",
}

_MODULES = ("analyze", "read", "write")

__all__ = [
    "CTScan",
    "CTSlices",
    "Findings",
    "GroundglassError",
    "Lesion",
    "Lung",
    "Mask",
    "Report",
    "Score",
    "__version__",
    "analyze",
    "list_systems",
    "load_system",
    "read",
    "write",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name in _MODULES:
        return import_module(f"groundglass.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'groundglass' has no attribute '{name}'")
    return getattr(import_module(f"groundglass.{_HOMES[name]}"), name)
