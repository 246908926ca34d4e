"""Results that are kept: none of another network is lost to a new one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundglass.evaluation.result import Measurement


def weights_of(system: str) -> str:
    """Checksum of the weights of a system or run; empty where it has none."""
    from groundglass.systems.system import find_card

    card, _ = find_card(system)
    return card.weights.sha256 if card.weights else ""


def refuse_other_weights(file: Path, weights: str) -> None:
    """Make sure, before anything is measured, that no result of another network is lost.

    Raises:
        OutputError: If the file holds one.
    """
    if not file.is_file():
        return
    from groundglass.errors import OutputError

    stored = json.loads(file.read_text(encoding="utf-8")).get("weights_sha256", "")
    if stored != weights:
        raise OutputError(
            f"found '{file.name}' with a result of other weights ({stored[:12]}), expected none or "
            f"one of these ({weights[:12]}); name another folder with --results, or remove it"
        )


def refuse_other_system(file: Path, measured: "Measurement") -> None:
    """Make sure that no cross-validation of another system or settings is lost.

    Raises:
        OutputError: If the file holds one; the runs are kept, so that little is measured again.
    """
    from groundglass.errors import OutputError

    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    told = ("system", "configuration", "seed")
    if known and any(known.get(name) != getattr(measured, name) for name in told):
        raise OutputError(
            f"found '{file.name}' with a result of {known.get('system')} in other settings, "
            "expected none or one of these; name another folder with --results, or remove it"
        )
