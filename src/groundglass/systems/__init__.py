"""The systems inside groundglass: every published method is a folder here."""

from groundglass.systems.card import Card, load_card
from groundglass.systems.system import Segmenter

SYSTEMS = (
    "baseline_unet",
    "covid_attention_net",
    "covid_ct_mask_net",
    "lung_unet",
    "spatio_temporal_rcnn",
    "specialized_streams",
    "ss_inf_net",
)
"""Names of all systems; a system is a folder of that name beside this file."""


def list_systems() -> list[Card]:
    """Cards of all systems, without loading any network."""
    return [load_card(name) for name in SYSTEMS]


def load_system(name: str, device: str = "cpu") -> Segmenter:
    """A system ready to use, with its shipped weights.

    Args:
        name: One of ``SYSTEMS``, or the folder of a training run.
        device: ``cpu``, ``cuda`` or ``cuda:0``.

    Raises:
        UnknownNameError: If there is no such system or run.
        WeightsError: If the weights are missing or do not match their checksum.
    """
    from groundglass.systems.system import build

    return build(name, device)


__all__ = ["SYSTEMS", "Card", "Segmenter", "list_systems", "load_card", "load_system"]
