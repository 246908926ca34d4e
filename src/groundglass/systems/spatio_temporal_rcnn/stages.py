"""The stage of a slice that teaches or judges: as the cohort says, else by the extent of lesion."""

import torch
from torch import Tensor

from groundglass.data.case import UNKNOWN, Case
from groundglass.labels import is_opacity

STAGE_SHARES = (0.25, 0.5)
"""Share of the lung that is lesion up to which a slice counts as early and as advanced, where the
cohort tells no stage; the cuts of the MosMed categories CT-1 and CT-2."""


def stage_by_share(lungs: Tensor, lesions: Tensor) -> Tensor:
    """Stage of a slice by the share of its lung that is lesion.

    0 without lesion; 1 up to a quarter, 2 up to a half, 3 beyond; 255 where lesions are not known,
    or there is lesion and the lungs are not known.

    Args:
        lungs: (slice, row, column), numbers of ``Lung`` or 255.
        lesions: (slice, row, column), numbers of ``Lesion`` or 255.
    """
    lesion = is_opacity(lesions).flatten(1).sum(1)
    lung = ((lungs > 0) & (lungs != UNKNOWN)).flatten(1).sum(1)
    share = lesion / lung.clamp_min(1)
    stage = 1 + (share[:, None] > torch.tensor(STAGE_SHARES, device=share.device)).sum(1)
    stage = torch.where(lesion == 0, 0, stage)
    unknown = (lesions == UNKNOWN).flatten(1).all(1) | ((lesion > 0) & (lung == 0))
    return torch.where(unknown, UNKNOWN, stage)


def stage_of(case: Case) -> int | None:
    """Stage of a slice of a cohort, 0 to 3; ``None`` where it is neither given nor follows.

    Args:
        case: A CT slice.
    """
    if case.stage is not None:
        return case.stage
    lungs, lesions = case.read_lungs(), case.read_lesions()
    if lesions is None:
        return None
    shown = torch.from_numpy(lesions)[None]
    lung = torch.full_like(shown, UNKNOWN) if lungs is None else torch.from_numpy(lungs)[None]
    stage = int(stage_by_share(lung, shown)[0])
    return None if stage == UNKNOWN else stage
